-- The query of a URL, checked against the parameters of its route.

local body = require("body")
local text = require("text")

local query = {}

-- What is wrong with a value; nil where nothing is.
local function fault_of(check, value)
  if text.not_utf8(value) then
    return "must be UTF-8"
  elseif check.kind == "list" then
    return fault_of(check.items, value)
  elseif check.kind == "boolean" then
    return value ~= "true" and value ~= "false" and "must be true or false" or nil
  elseif check.kind == "integer" then
    return body.scalar_fault(check, value:find("^-?%d+$") and "number" or "string", value)
  elseif check.kind == "number" then
    return body.scalar_fault(check, tonumber(value) and not value:find("[xX]") and "number" or "string", value)
  elseif check.kind == "string" then
    return nil
  end
  return body.scalar_fault(check, "string", value)
end

-- What is outside of its limits; nil where nothing is.
local function outside_of(check, value)
  if check.kind == "list" then
    return outside_of(check.items, value)
  end
  return body.limit_fault(check, value:gsub("\\", "\\\\"))
end

-- Adds to `found` what is wrong with a query (without its question mark); returns what is right of it.
function query.check(found, parameters, written)
  local seen, kept = {}, {}
  for pair in written:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name = text.percent_decoded(name)
    local check, shown = parameters[name], text.shown(name)
    local faults = found.count
    if not check then
      found:add_unknown(shown, name, parameters)
    elseif seen[name] and check.kind ~= "list" then
      found:add(shown, "is given twice")
    else
      local decoded = text.percent_decoded(value)
      local fault = fault_of(check, decoded)
      local outside = not fault and outside_of(check, decoded)
      if fault then
        found:add(shown, fault)
      elseif outside then
        found:add_limit(shown, outside)
      end
    end
    seen[name] = true
    if found.count == faults then
      kept[#kept + 1] = pair
    end
  end
  return table.concat(kept, "&")
end

return query
