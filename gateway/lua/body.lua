-- A JSON body, checked against the message that it is to become: every unknown field and every wrong type, in one pass
-- that builds nothing, so that a large body costs no more memory than it has.
-- What is JSON and what isn't, the transcoder decides again; here it matters that what passes means the same to both.

local limits = require("limits")
local text = require("text")

-- A service reads no message that is nested deeper than a hundred levels, and an object in a Struct is three of them.
local MOST_LEVELS = 30

local body = {}

local KIND_OF = { [34] = "string", [91] = "list", [123] = "object", [102] = "boolean", [116] = "boolean", [110] = "null" }
local JSON_KIND = { message = "object", struct = "object", map = "object", list = "list", boolean = "boolean" }
local WORDS = {
  string = "a string", number = "a number", boolean = "true or false", list = "a list", object = "an object",
  timestamp = "a time in RFC 3339, such as 2026-01-31T12:00:00Z",
}
local LITERALS = { [102] = "false", [116] = "true", [110] = "null" }

local function malformed(position, what)
  error({ position = position, what = what }, 0)
end

local function skip(json, position)
  return json:match("^[ \t\r\n]*()", position)
end

local function string_end(json, start)
  local position = start + 1
  while true do
    local found = json:find('["\\%z\1-\31]', position)
    if not found then
      malformed(start, "this string doesn't end")
    end
    local byte = json:byte(found)
    if byte == 34 then
      return found
    elseif byte ~= 92 then
      malformed(found, "a control character must be escaped")
    end
    position = found + 2
  end
end

local function number_end(json, start)
  local position = json:match("^-?0()", start) or json:match("^-?[1-9]%d*()", start)
  if not position then
    malformed(start, "a value is expected")
  end
  position = json:match("^%.%d+()", position) or position
  return json:match("^[eE][+-]?%d+()", position) or position
end

local function join(path, name)
  return path == "" and name or path .. "." .. name
end

-- What a string or a number must be; nil where it is that.
local function scalar_fault(check, found, written)
  if check.kind == "integer" then
    local number = found == "number" and tonumber(written)
    if not number or number ~= math.floor(number) or number < check.least or number > check.most then
      return check.limit and check.limit.words
        or string.format("must be a whole number from %d to %.0f", check.least, check.most)
    end
  elseif check.kind == "number" then
    if found ~= "number" or math.abs(tonumber(written)) == math.huge then
      return check.limit and check.limit.words or "must be a number"
    end
  elseif check.kind == "enum" then
    for _, name in ipairs(check.names) do
      if found == "string" and written == name then
        return nil
      end
    end
    return "must be one of " .. table.concat(check.names, ", ")
  elseif check.kind == "timestamp" then
    if found ~= "string" or not written:find("^%d%d%d%d%-[01]%d%-[0-3]%dT[0-2]%d:[0-5]%d:[0-6]%d") then
      return "must be " .. WORDS.timestamp
    end
  elseif check.kind ~= found then
    return check.limit and check.limit.choices and check.limit.words or "must be " .. WORDS[check.kind]
  end
  return nil
end

-- What is outside of its limits, of what is of the right kind; nil where nothing is. `raw` is what stands between the
-- quotes of a JSON string, or a number as it is written.
local function limit_fault(check, raw)
  if check.kind == "string" then
    return limits.text_fault(check, raw)
  elseif check.kind == "integer" or check.kind == "number" then
    return limits.number_fault(check, tonumber(raw))
  end
  return nil
end

body.scalar_fault = scalar_fault
body.limit_fault = limit_fault

local value

-- Tells the fields of a message that must be given and aren't.
local function miss(scan, message, seen, path, level)
  for _, name in ipairs(scan.required[message]) do
    if seen[name] ~= "given" and not (level == 1 and scan.variables[name]) then
      scan.found:add_limit(join(path, name), "is required")
    end
  end
end

-- `message` names the checks of the fields, nil where any name is taken; `all` is the check of every value then, if there
-- is one.
local function object(scan, start, message, all, path, level)
  local json, fields, seen = scan.json, message and scan.messages[message], {}
  local position = skip(json, start + 1)
  if json:byte(position) == 125 then
    if message then
      miss(scan, message, seen, path, level)
    end
    return position + 1
  end
  while true do
    if json:byte(position) ~= 34 then
      malformed(position, "a name in quotes is expected")
    end
    local opening, finish = position, string_end(json, position)
    local name = fields and text.unescaped(json:sub(position + 1, finish - 1))
    position = skip(json, finish + 1)
    if json:byte(position) ~= 58 then
      malformed(position, "a colon is expected")
    end
    local check, below = all, path
    local faults = scan.found.count - scan.cut_out
    if fields then
      check, below = fields[name], join(path, text.shown(name))
      if level == 1 and scan.variables[name] then
        scan.found:add(below, "is told by the path; leave it out here")
        check = nil
      elseif not check then
        scan.found:add_unknown(below, name, fields)
      elseif seen[name] then
        scan.found:add(below, "is given twice")
      else
        seen[name] = json:byte(skip(json, position + 1)) == 110 and "null" or "given"
      end
    end
    position = skip(json, value(scan, position + 1, check, below, level))
    local left = scan.found.count - scan.cut_out - faults
    if fields and left > 0 and not scan.found:is_long() then
      scan.cuts[#scan.cuts + 1] = { opening, finish }
      scan.cut_out = scan.cut_out + left
    end
    local byte = json:byte(position)
    if byte == 125 then
      if message then
        miss(scan, message, seen, path, level)
      end
      return position + 1
    elseif byte ~= 44 then
      malformed(position, "a comma or } is expected")
    end
    position = skip(json, position + 1)
  end
end

local function list(scan, start, check, path, level)
  local json, items = scan.json, check and check.items
  local position, index = skip(json, start + 1), 0
  if json:byte(position) == 93 then
    return position + 1
  end
  while true do
    position = skip(json, value(scan, position, items, items and join(path, tostring(index)) or path, level, items))
    local byte = json:byte(position)
    if byte == 93 then
      if check and check.most_items and index >= check.most_items then
        scan.found:add_limit(path, check.words)
      end
      return position + 1
    elseif byte ~= 44 then
      malformed(position, "a comma or ] is expected")
    end
    position, index = position + 1, index + 1
  end
end

-- Checks the value that starts here, behind white space; returns where it ends. Without a check, anything is right.
-- null is the same as nothing, but not as an item of a list.
function value(scan, start, check, path, level, is_item)
  local json = scan.json
  local position = skip(json, start)
  local byte = json:byte(position)
  local found = byte and (KIND_OF[byte] or "number") or malformed(position, "a value is expected")
  if check and check.kind == "any" or found == "null" and not is_item then
    check = nil
  end
  local wanted = check and JSON_KIND[check.kind]
  if wanted and wanted ~= found then
    scan.found:add(path, "must be " .. WORDS[wanted])
    check = nil
  end
  if found == "object" or found == "list" then
    if level >= MOST_LEVELS then
      malformed(position, "nothing may be nested deeper than " .. MOST_LEVELS .. " levels")
    end
    if check and not wanted then
      scan.found:add(path, scalar_fault(check, found) or "must be another kind of value")
      check = nil
    end
    if found == "list" then
      if check and check.required and json:byte(skip(json, position + 1)) == 93 then
        scan.found:add_limit(path, "is required")
      end
      return list(scan, position, check, path, level + 1)
    end
    local message = check and check.kind == "message" and check.message or nil
    return object(scan, position, message, check and check.values, path, level + 1)
  end
  local finish
  if found == "string" then
    finish = string_end(json, position) + 1
  elseif found == "number" then
    finish = number_end(json, position)
  else
    local literal = LITERALS[byte]
    finish = position + #literal
    if json:sub(position, finish - 1) ~= literal then
      malformed(position, "a value is expected")
    end
  end
  if check and not wanted then
    local written = found == "string" and json:sub(position + 1, finish - 2) or json:sub(position, finish - 1)
    local fault = scalar_fault(check, found, written)
    local outside = not fault and limit_fault(check, written)
    if fault then
      scan.found:add(path, fault)
    elseif outside then
      scan.found:add_limit(path, outside)
    end
  end
  return finish
end

local function place(json, position)
  local before = json:sub(1, position - 1)
  local _, lines = before:gsub("\n", "")
  return "line " .. lines + 1 .. ", column " .. #before:match("[^\n]*$") + 1
end

-- The body without the members that are wrong: each has a name instead that no message knows, which the transcoder drops.
local function without(json, cuts)
  table.sort(cuts, function(one, other)
    return one[1] < other[1]
  end)
  local pieces, after = {}, 1
  for _, cut in ipairs(cuts) do
    pieces[#pieces + 1] = json:sub(after, cut[1])
    pieces[#pieces + 1] = "?"
    after = cut[2]
  end
  pieces[#pieces + 1] = json:sub(after)
  return table.concat(pieces)
end

-- Adds to `found` what is wrong with a body; returns what is right of it, nil where it is no JSON object. `contracts` are the checks of every message, `message` is the name of the one
-- that the body is to become, `variables` are the fields of it that the path fills.
function body.check(found, json, contracts, message, variables)
  local scan = {
    json = json, messages = contracts.messages, required = contracts.required, variables = variables, found = found,
    cuts = {}, -- where the names of wrong members are, from quote to quote
    cut_out = 0, -- faults in those; one of a list's item takes the member with it that the list is
  }
  local start = skip(json, 1)
  if start > #json then
    miss(scan, message, {}, "", 1)
    return json
  end
  if json:byte(start) ~= 123 then
    found:add("body", "must be a JSON object")
    return nil
  end
  local broken = text.not_utf8(json)
  local ok, fault = pcall(function()
    if broken then
      malformed(broken, "this is not UTF-8")
    end
    local finish = skip(json, object(scan, start, message, nil, "", 1))
    if finish <= #json then
      malformed(finish, "nothing may follow the object")
    end
  end)
  if ok then
    return without(json, scan.cuts)
  elseif type(fault) ~= "table" then
    error(fault, 0)
  end
  found:add("body", "can't be read as JSON at " .. place(json, fault.position) .. ": " .. fault.what)
  return nil
end

return body
