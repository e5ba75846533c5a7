# SPDX-License-Identifier: MIT
"""Headless Chromium that looks at the page of `xenlevel pool report`.

Everything here waits for what it asks: the driver answers when it is done, and the page does all of its work
while it is loaded or in the handler of the event that is sent.
"""

import base64

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

LIMIT = 300     # seconds, for what hangs

# As root there is no sandbox, and in a chroot a small /dev/shm or none.
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--window-size=1200,900"]

# The contrast of all text with what is behind it (WCAG 2.2, 1.4.3 and its definition of relative luminance), as
# [ratio, text] below the limit.  A pattern's ground is its darkest and its lightest colour.
CONTRAST = """
const linear = c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
const grounds = element => {
  for (let e = element; e; e = e.parentElement) {
    const style = getComputedStyle(e), found = [];
    const colour = numbers(style.backgroundColor);
    if (colour.length < 4 || colour[3] > 0) found.push(colour);
    for (const one of style.backgroundImage.match(/rgba?\\([^)]*\\)/g) || [])
      if (numbers(one).length < 4 || numbers(one)[3] > 0) found.push(numbers(one));
    if (e.namespaceURI.endsWith("svg") && e.closest("a")) found.push(numbers(getComputedStyle(e.closest("a").querySelector("rect")).fill));
    if (found.length) return found;
  }
  return [[255, 255, 255]];
};
const bad = [];
let n = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
  if (!text || ["SCRIPT", "STYLE"].includes(element.tagName) || !element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const ink = light(numbers(element.namespaceURI.endsWith("svg") ? style.fill : style.color));
  n++;
  for (const ground of grounds(element))
    if (ratio(ink, light(ground)) < arguments[0]) bad.push([ratio(ink, light(ground)), text]);
}
return [n, bad];
"""


class Page:
    """One browser, and the page that is open in it."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(LIMIT)
        self.driver.set_script_timeout(LIMIT)

    def close(self):
        self.driver.quit()

    def command(self, name, **arguments):
        """One command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def open(self, path, scheme="light", width=1200, media="", script=True):
        self.command("Emulation.setScriptExecutionDisabled", value=not script)
        self.command("Emulation.setEmulatedMedia", media=media,
                     features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.log()      # of the page before
        self.driver.get(path.as_uri())
        return self

    def log(self):
        """What the console has said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        element, = self.all(css)
        return element

    def js(self, body, *arguments):
        return self.driver.execute_script(body, *arguments)

    def text(self, what):
        """All text of an element, also what is not drawn."""
        element = what if isinstance(what, WebElement) else self.one(what)
        return " ".join(element.get_property("textContent").split())

    def focused(self):
        return self.driver.switch_to.active_element

    def keys(self, *keys):
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def hold(self, key, other):
        ActionChains(self.driver, duration=0).key_down(key).send_keys(other).key_up(key).perform()

    def point(self, element):
        self.js("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", element)
        ActionChains(self.driver, duration=0).move_to_element(element).perform()

    def colour(self, css, name):
        return self.js("return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", css, name)

    def contrast(self, least):
        """How many texts there are, and those that are too weak: [[ratio, text], ...]."""
        return self.js(CONTRAST, least)

    def pdf(self):
        return base64.b64decode(self.command("Page.printToPDF", printBackground=False)["data"])

    def picture(self):
        """The whole page as a PNG, to be looked at."""
        height = self.js("return document.documentElement.scrollHeight")
        width = self.js("return document.documentElement.clientWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        return base64.b64decode(self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])
