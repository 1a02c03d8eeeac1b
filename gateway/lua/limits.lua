-- Limits of fields as the contracts name them: numbers out of range, texts too long or written otherwise.
-- What is outside of them is told beside what else is wrong; by itself it is left to the service, which knows more.

local text = require("text")

local limits = {}

-- The longest text without a limit of its own that is worth a look: no choice is that long, and no id or address.
local LONGEST = 1000
-- Bytes of a character in a JSON string, at most: a pair of surrogates in escapes.
local MOST_BYTES = 12

local function is_one_line(value)
  return not value:find("[%z\1-\31\127]") and not value:find("\194[\128-\159]") and not value:find("\226\128[\168\169]")
end

local FORMATS = {
  TEXT_FORMAT_WITHOUT_NULL = function(value) return not value:find("%z") end,
  TEXT_FORMAT_ONE_LINE = is_one_line,
  TEXT_FORMAT_EMAIL = function(value) return value:find("^[^@ \t\r\n]+@[^@ \t\r\n]+$") end,
  TEXT_FORMAT_ID = function(value)
    return #value == 36 and value:find("^%x+%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x+$") and value:find("^........%-")
  end,
  TEXT_FORMAT_LANGUAGE_TAG = function(value)
    local first, rest = value:match("^(%a*)(.*)$")
    if value ~= "" and (#first < 2 or #first > 8) then
      return false
    end
    local position = 1
    while position <= #rest do
      local finish = rest:match("^%-%w+()", position)
      if not finish or finish - position > 9 then
        return false
      end
      position = finish
    end
    return true
  end,
  TEXT_FORMAT_SHA256 = function(value) return #value == 64 and not value:find("%X") end,
}

local function is_right(limit, value)
  local _, length = value:gsub("[^\128-\191]", "")
  return length >= (limit.shortest or 0)
    and length <= (limit.longest or length)
    and (not limit.choices or limit.choices[value])
    and (not limit.format or FORMATS[limit.format](value))
end

-- What is wrong with a number; nil where nothing is.
function limits.number_fault(check, number)
  local limit = check.limit
  if limit and limit.zero_is_unset and number == 0 or not limit then
    return nil
  end
  local is_within = (not limit.least or number >= limit.least) and (not limit.most or number <= limit.most)
  return not is_within and limit.words or nil
end

-- What is wrong with a text, given as it is between the quotes of a JSON string; nil where nothing is.
function limits.text_fault(check, raw)
  local limit = check.limit
  if raw == "" and check.required then
    return "is required"
  elseif not limit or raw == "" and limit.zero_is_unset then
    return nil
  end
  if #raw > MOST_BYTES * (limit.longest or LONGEST) then
    return limit.words
  end
  local value = text.unescaped(raw)
  if limit.trimmed then
    value = text.trimmed(value)
    if value == "" and check.required then
      return "is required"
    end
  end
  return not is_right(limit, value) and limit.words or nil
end

return limits
