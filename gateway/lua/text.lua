-- Text as JSON and out of URLs.

local text = {}

-- A JSON string.
function text.json(value)
  local escaped = value:gsub('[%c"\\]', function(character)
    return string.format("\\u%04x", character:byte())
  end)
  return '"' .. escaped .. '"'
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

-- A name that somebody sent, fit to be told back: short, and UTF-8.
function text.shown(name)
  if #name > 100 then
    name = name:sub(1, 100):gsub("[\128-\255]+$", "") .. "…"
  end
  if text.not_utf8(name) then
    name = name:gsub("[\128-\255]", "?")
  end
  return name
end

return text
