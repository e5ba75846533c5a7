/* SPDX-License-Identifier: MIT */
/*
 * libvirt's XML: the capabilities of a host, and the CPU of a domain; by libxml2.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "features-gen.h"
#include "forms-private.h"

enum { MAX_XML = 8 << 20, MAX_UNKNOWN_NAMES = 200 };

/* What there is to read before the tree is built: an element that only these files have. */
static unsigned int looks_like_libvirt(const struct form_text *t)
{
    static const char *const roots[] = {"<capabilities", "<domainCapabilities", "<domain",
                                        "<cpu",          "<domainsnapshot",     "<sysinfo"};
    const char *s = t->bytes;

    s += strspn(s, " \t\r\n");
    if (*s != '<')
        return 0;
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
        if (strstr(s, roots[i]))
            return 95;
    return 0;
}

static bool is_element(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && !strcmp((const char *)n->name, name);
}

static xmlNode *find_child(const xmlNode *n, const char *name)
{
    for (xmlNode *c = n ? n->children : NULL; c; c = c->next)
        if (is_element(c, name))
            return c;
    return NULL;
}

/* An attribute, or an element's text, as a C string of the caller's; false when it is not there. */
static bool get_attribute(const xmlNode *n, const char *name, char *out, size_t size)
{
    xmlChar *value = n ? xmlGetProp((xmlNode *)(uintptr_t)n, (const xmlChar *)name) : NULL;

    if (!value)
        return false;
    (void)snprintf(out, size, "%s", (const char *)value);
    xmlFree(value);
    return true;
}

static bool get_text(const xmlNode *n, char *out, size_t size)
{
    xmlChar *value = n ? xmlNodeGetContent(n) : NULL;
    const char *s, *end;

    if (!value)
        return false;
    s = form_trim((const char *)value, &end);
    (void)snprintf(out, size, "%.*s", (int)(end - s < (long)size ? end - s : (long)size - 1), s);
    xmlFree(value);
    return out[0] != '\0';
}

/* Names that we do not have, to be said in one note. */
struct names {
    char text[MAX_UNKNOWN_NAMES];
    size_t n;
};

static void keep_name(struct names *names, const char *name)
{
    size_t len = strlen(names->text);

    names->n++;
    if (len + strlen(name) + 3 < sizeof(names->text))
        (void)snprintf(names->text + len, sizeof(names->text) - len, "%s%s", len ? ", " : "", name);
}

/* <feature policy='require' name='vmx'/>; without a policy it is there. */
static void take_feature(struct form_cpu *c, const xmlNode *n, struct names *names)
{
    char name[64], policy[16] = "require";
    int feature;

    if (!get_attribute(n, "name", name, sizeof(name)))
        return;
    (void)get_attribute(n, "policy", policy, sizeof(policy));
    feature = form_feature_by_name(FORM_NAMES_LIBVIRT, name, strlen(name));
    if (feature < 0)
        keep_name(names, name);
    else if (!strcmp(policy, "require") || !strcmp(policy, "force"))
        form_know_feature(c, (unsigned int)feature, true);
    else if (!strcmp(policy, "disable") || !strcmp(policy, "forbid"))
        form_know_feature(c, (unsigned int)feature, false);
}

static void take_vendor(struct form_cpu *c, const xmlNode *cpu)
{
    static const struct {
        const char *libvirt, *vendor;
    } vendors[] = {{"Intel", "GenuineIntel"}, {"AMD", "AuthenticAMD"}, {"Hygon", "HygonGenuine"}};
    char text[32];

    if (!get_text(find_child(cpu, "vendor"), text, sizeof(text)))
        return;
    for (size_t i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++)
        if (!strcmp(vendors[i].libvirt, text))
            form_know_vendor(c, vendors[i].vendor, 12);
}

static void take_cpu(struct form *f, struct form_cpu *c, const xmlNode *cpu)
{
    struct names names = {0};
    char model[64], mode[32];

    form_cpu_init(c);
    take_vendor(c, cpu);
    for (xmlNode *n = cpu->children; n; n = n->next)
        if (is_element(n, "feature"))
            take_feature(c, n, &names);
    if (names.n)
        form_note(f, "no name here for %zu of its features: %s%s", names.n, names.text,
                  strlen(names.text) + 20 > sizeof(names.text) ? ", ..." : "");
    if (get_text(find_child(cpu, "model"), model, sizeof(model)))
        form_note(f, "the model %s stands for features that are not in the file: they stay unknown",
                  model);
    if (get_attribute(cpu, "mode", mode, sizeof(mode)) && strcmp(mode, "custom") != 0)
        form_note(f, "its CPU is %s: what it does not name is as the host where it starts gives it",
                  mode);
}

static int read_domain(struct form *f, const xmlNode *domain)
{
    const xmlNode *cpu = find_child(domain, "cpu"), *os = find_child(domain, "os");
    const xmlNode *type = find_child(os, "type");
    char text[32];

    f->kind = FORM_GUEST;
    f->name = "a domain's XML of libvirt";
    (void)get_text(find_child(domain, "name"), f->subject, sizeof(f->subject));
    if (get_text(type, text, sizeof(text)))
        f->guest_type =
            !strcmp(text, "linux") || !strcmp(text, "xen") ? FORM_GUEST_PV : FORM_GUEST_HVM;
    if (cpu)
        take_cpu(f, &f->guest, cpu);
    else
        form_cpu_init(&f->guest);
    if (!cpu)
        form_note(f, "it names no CPU: it is what the host where it starts gives");
    form_fit_numbers(&f->guest);
    return 0;
}

/* A domain's <cpu> alone: a host's has neither attribute. */
static bool is_domain_cpu(const xmlNode *n)
{
    char text[32];

    return is_element(n, "cpu") && (get_attribute(n, "mode", text, sizeof(text)) ||
                                    get_attribute(n, "match", text, sizeof(text)));
}

static int read_domain_cpu(struct form *f, const xmlNode *cpu)
{
    f->kind = FORM_GUEST;
    f->name = "the <cpu> of a domain's XML of libvirt";
    f->guest_type = FORM_GUEST_HVM; /* PV guests get none from libvirt */
    take_cpu(f, &f->guest, cpu);
    form_fit_numbers(&f->guest);
    return 0;
}

/* Capabilities name a CPU below <host>; those of a domain below <mode name='host-model'>. */
static const xmlNode *find_host_cpu(const xmlNode *root)
{
    const xmlNode *cpu;
    char name[32];

    if (is_element(root, "cpu"))
        return root;
    cpu = find_child(is_element(root, "capabilities") ? find_child(root, "host") : root, "cpu");
    if (!is_element(root, "domainCapabilities") || !cpu)
        return cpu;
    for (const xmlNode *n = cpu->children; n; n = n->next)
        if (is_element(n, "mode") && get_attribute(n, "name", name, sizeof(name)) &&
            !strcmp(name, "host-model"))
            return n;
    return NULL;
}

static int read_host(struct form *f, const xmlNode *root)
{
    const xmlNode *cpu = find_host_cpu(root);
    struct form_cpu *c = cpu ? form_add_cpu(f) : NULL;

    if (!cpu)
        return form_fail(f, "the XML names no CPU");
    if (!c)
        return -1;
    f->kind = FORM_CPU;
    take_cpu(f, c, cpu);
    form_fit_numbers(c);
    return 0;
}

static int read_libvirt(const struct form_text *t, struct form *f)
{
    xmlDoc *doc;
    const xmlNode *root;
    int rc;

    if (t->len > MAX_XML)
        return form_fail(f, "XML of more than 8 MiB");
    /* Entities are not replaced, and nothing is fetched. */
    doc = xmlReadMemory(t->bytes, (int)t->len, "libvirt.xml", NULL,
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    root = doc ? xmlDocGetRootElement(doc) : NULL;
    f->partial = true;
    if (!root)
        rc = form_fail(f, "it begins as XML and is none");
    else if (doc->intSubset || doc->extSubset) /* entities of which each is ten of another */
        rc = form_fail(f, "it has a document type, which libvirt's XML has not");
    else if (is_element(root, "domain"))
        rc = read_domain(f, root);
    else if (is_element(root, "domainsnapshot") && find_child(root, "domain"))
        rc = read_domain(f, find_child(root, "domain"));
    else if (is_domain_cpu(root))
        rc = read_domain_cpu(f, root);
    else
        rc = read_host(f, root);
    xmlFreeDoc(doc);
    return rc;
}

const struct form_reader form_libvirt = {
    .name = "libvirt XML",
    .looks_like = looks_like_libvirt,
    .read = read_libvirt,
};
