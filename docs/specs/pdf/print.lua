-- SPDX-License-Identifier: MIT
--[[
For print, where pandoc's own `ms` leaves too much to chance: tables whose columns are as wide as what is in them,
kept on one page where they fit on one and with their head repeated where not; code that is not torn apart; headings
that tell build.py on which page they came to stand.
]]

local WIDTH = 91        -- ens across the page: template.ms's LL
local GAP = 2           -- between columns
local SHORT = 30        -- a column of words no longer than this is never broken
local LONG_TABLE = 16   -- rows; a longer table may go on on the next page

local function ms(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), 'ms'):gsub('^%.[LP]P\n', ''):gsub('%s+$', ''))
end

-- Ens that the words take on a line: code is set in a font of fixed width, and capitals are wide.
local function width(blocks)
  local n = 0
  pandoc.walk_block(pandoc.Div(blocks), {
    Str = function(s) n = n + utf8.len(s.text) + select(2, s.text:gsub('[%u_]', '')) * 0.5 end,
    Code = function(c) n = n + #c.text * 1.15 end,
    Space = function() n = n + 0.6 end,
  })
  return n * 0.98 + 0.5
end

local function cells(row)
  local found = {}
  for i, cell in ipairs(row.cells) do found[i] = cell.contents end
  return found
end

local function rows_of(tbl)
  local rows = {}
  for _, body in ipairs(tbl.bodies) do
    for _, row in ipairs(body.body) do rows[#rows + 1] = cells(row) end
  end
  return rows
end

-- Of the words the widest, which is never broken.
local function widest_word(blocks)
  local most = 0
  pandoc.walk_block(pandoc.Div(blocks), {
    Str = function(s) most = math.max(most, width({ pandoc.Plain({ s }) })) end,
    Code = function(c) most = math.max(most, width({ pandoc.Plain({ c }) })) end,
  })
  return most
end

-- The columns that have to be broken share what is left: by the roots of their lengths, which makes them about equally
-- high, and none narrower than its widest word.
local function share(left, broken, natural, least)
  local wide, open = {}, broken
  while true do
    local roots, narrow, rest = 0, nil, {}
    for _, i in ipairs(open) do roots = roots + math.sqrt(natural[i]) end
    for _, i in ipairs(open) do
      wide[i] = left * math.sqrt(natural[i]) / roots
      if not narrow and wide[i] < least[i] then narrow = i else rest[#rest + 1] = i end
    end
    if not narrow then return wide end
    wide[narrow], left, open = least[narrow], left - least[narrow], rest
  end
end

-- How wide each column is, and beyond which width a cell of it has to be broken into lines (nil: none has to).
local function columns(head, rows)
  local natural, least, left, broken, total = {}, {}, WIDTH - GAP * (#head - 1), {}, 0
  for i = 1, #head do
    natural[i], least[i] = width(head[i]) * 1.1, widest_word(head[i])
    for _, row in ipairs(rows) do
      natural[i], least[i] = math.max(natural[i], width(row[i])), math.max(least[i], widest_word(row[i]))
    end
    if natural[i] > SHORT then broken[#broken + 1], total = i, total + natural[i] else left = left - natural[i] end
  end
  if total <= left then return natural, {} end
  local is_broken = {}
  for i, wide in pairs(share(left, broken, natural, least)) do
    natural[i], is_broken[i] = wide, wide * 0.9
  end
  return natural, is_broken
end

local function line(row, is_broken, font)
  local out = {}
  for i, blocks in ipairs(row) do
    local text = #blocks > 0 and ms(blocks) or ''
    if font and text ~= '' then text = '\\f[' .. font .. ']' .. text .. '\\f[R]' end
    -- Only lines of a text block may be broken; and one that begins with a dot is no request.
    out[i] = is_broken[i] and width(blocks) > is_broken[i] and 'T{\n' .. text .. '\nT}' or (text:gsub('\n', ' '):gsub('^%.', '\\&.'))
  end
  return table.concat(out, '\t')
end

function Table(tbl)
  local head, rows = cells(tbl.head.rows[1]), rows_of(tbl)
  local wide, is_broken = columns(head, rows)
  local format, long = {}, #rows > LONG_TABLE
  for i, n in ipairs(wide) do
    format[i] = string.format('lw(%.1fn)', n)
  end
  local out = { long and '.LP\n.TS H' or '.LP\n.KS\n.TS', 'tab(\t);', table.concat(format, ' ' .. GAP .. ' ') .. '.', '_',
                line(head, is_broken, 'B'), '_' }
  if long then out[#out + 1] = '.TH' end
  for _, row in ipairs(rows) do out[#out + 1] = line(row, is_broken) end
  out[#out + 1] = '_\n.TE' .. (long and '' or '\n.KE')
  out[#out + 1] = '.sp 0.4v'
  return pandoc.RawBlock('ms', table.concat(out, '\n'))
end

function CodeBlock(block)
  local text = block.text:gsub('\\', '\\e'):gsub("'", '\\(aq'):gsub('`', '\\(ga'):gsub('%-', '\\-')
  text = ('\n' .. text):gsub('\n', '\n\\&'):sub(2)
  return pandoc.RawBlock('ms', '.CODE\n' .. text .. '\n.CODEEND')
end

function Header(header)
  local text = pandoc.utils.stringify(header)
  -- Not alone at the foot of a page.
  return { pandoc.RawBlock('ms', header.level == 1 and '.ne 16v' or '.ne 9v'), header, pandoc.RawBlock('ms', '.tm CONTENTS\t' .. header.level .. '\t\\*[SN]\t' .. header.identifier .. '\t' ..
                                         text .. '\t\\n[%]') }
end
