-- Text as JSON and out of URLs.

local text = {}

-- A JSON string.
function text.json(value)
  local escaped = value:gsub('[%c"\\]', function(character)
    return string.format("\\u%04x", character:byte())
  end)
  return '"' .. escaped .. '"'
end

-- With nothing in it but printable ASCII.
function text.percent_encoded(value)
  local encoded = value:gsub("[^ -$&-~]", function(character)
    return string.format("%%%02X", character:byte())
  end)
  return encoded
end

function text.percent_decoded(value)
  local decoded = value:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return decoded
end

-- Bytes of the sequence that starts here, by its first byte and the least and the most that the second may be
-- (RFC 3629, section 4).
local function sequence_length(first)
  if first < 0x80 then return 1, 0x80, 0xBF end
  if first >= 0xC2 and first <= 0xDF then return 2, 0x80, 0xBF end
  if first == 0xE0 then return 3, 0xA0, 0xBF end
  if first == 0xED then return 3, 0x80, 0x9F end -- no surrogates
  if first >= 0xE1 and first <= 0xEF then return 3, 0x80, 0xBF end
  if first == 0xF0 then return 4, 0x90, 0xBF end
  if first == 0xF4 then return 4, 0x80, 0x8F end
  if first >= 0xF1 and first <= 0xF3 then return 4, 0x80, 0xBF end
  return nil
end

-- Where the first byte is that isn't UTF-8; nil if all is.
function text.not_utf8(value)
  local position = value:find("[\128-\255]")
  while position do
    local length, least, most = sequence_length(value:byte(position))
    if not length then
      return position
    end
    for offset = 1, length - 1 do
      local byte = value:byte(position + offset)
      if not byte or byte < least or byte > most then
        return position
      end
      least, most = 0x80, 0xBF
    end
    position = value:find("[\128-\255]", position + length)
  end
  return nil
end

-- White space beyond ASCII, as Unicode has it.
local WIDE_SPACES = {}
for _, space in ipairs({
  "\194\133", "\194\160", "\225\154\128", "\226\128\168", "\226\128\169", "\226\128\175", "\226\129\159", "\227\128\128",
}) do
  WIDE_SPACES[space] = true
end
for last = 128, 138 do
  WIDE_SPACES["\226\128" .. string.char(last)] = true
end

local function without_spaces_before(value)
  local start = 1
  while true do
    local plain = value:match("^[\t-\r ]+()", start)
    local length = WIDE_SPACES[value:sub(start, start + 1)] and 2 or WIDE_SPACES[value:sub(start, start + 2)] and 3
    if not plain and not length then
      return value:sub(start)
    end
    start = plain or start + length
  end
end

local function without_spaces_behind(value)
  local finish = #value
  while true do
    local byte = value:byte(finish)
    local is_plain = byte and (byte == 32 or byte >= 9 and byte <= 13)
    local length = is_plain and 1 or WIDE_SPACES[value:sub(finish - 1, finish)] and 2
      or WIDE_SPACES[value:sub(finish - 2, finish)] and 3
    if not length then
      return value:sub(1, finish)
    end
    finish = finish - length
  end
end

-- Without the white space around it.
function text.trimmed(value)
  return without_spaces_behind(without_spaces_before(value))
end

-- The bytes of a character (RFC 3629, section 3).
local function encoded(code)
  local floor, char = math.floor, string.char
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + floor(code / 0x40), 0x80 + code % 0x40)
  elseif code < 0x10000 then
    return char(0xE0 + floor(code / 0x1000), 0x80 + floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
  end
  return char(
    0xF0 + floor(code / 0x40000), 0x80 + floor(code / 0x1000) % 0x40, 0x80 + floor(code / 0x40) % 0x40, 0x80 + code % 0x40
  )
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

-- What stands between the quotes of a JSON string, without its escapes. Half of a pair of surrogates becomes a question
-- mark; the transcoder refuses it.
function text.unescaped(raw)
  if not raw:find("\\", 1, true) then
    return raw
  end
  local parts, position = {}, 1
  while true do
    local found = raw:find("\\", position, true)
    parts[#parts + 1] = raw:sub(position, (found or 0) - 1)
    if not found then
      return table.concat(parts)
    end
    local digits = raw:match("^u(%x%x%x%x)", found + 1)
    local code = digits and tonumber(digits, 16)
    position = found + (code and 6 or 2)
    if not code then
      local letter = raw:sub(found + 1, found + 1)
      parts[#parts + 1] = ESCAPES[letter] or letter
    elseif code < 0xD800 or code > 0xDFFF then
      parts[#parts + 1] = encoded(code)
    else
      local low = tonumber(raw:match("^\\u(%x%x%x%x)", position) or "", 16)
      local is_pair = code < 0xDC00 and low and low >= 0xDC00 and low <= 0xDFFF
      parts[#parts + 1] = is_pair and encoded(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00) or "?"
      position = position + (is_pair and 6 or 0)
    end
  end
end

-- A name that somebody sent, fit to be told back: short, and UTF-8.
function text.shown(name)
  if #name > 100 then
    local finish = 100
    while finish > 0 and name:find("^[\128-\191]", finish + 1) do -- not in the middle of a character
      finish = finish - 1
    end
    name = name:sub(1, finish) .. "…"
  end
  if text.not_utf8(name) then
    name = name:gsub("[\128-\255]", "?")
  end
  return name
end

return text
