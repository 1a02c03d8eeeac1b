-- Wrong fields of a request: gathered, and told as services tell theirs.

local text = require("text")

local MOST_TOLD = 50
local LONGEST_MESSAGE = 1000
-- A name that is farther from every known one is another word, not a slip.
local FARTHEST_SLIP = 3

local violations = {}
violations.__index = violations

function violations.none()
  return setmetatable({ list = {}, count = 0, limits = {}, limit_count = 0 }, violations)
end

-- A value outside of its limits: told beside what else is wrong, and no reason to refuse by itself.
function violations:add_limit(field, description)
  self.limit_count = self.limit_count + 1
  if self.limit_count <= MOST_TOLD then
    self.limits[self.limit_count] = { field = field, description = description }
  end
end

function violations:add(field, description)
  self.count = self.count + 1
  if self.count <= MOST_TOLD then
    self.list[self.count] = { field = field, description = description }
  end
end

-- Whether there are more than would be told.
function violations:is_long()
  return self.count > MOST_TOLD
end

-- Steps from one word to another: letters changed, put in, left out, or swapped with the next (optimal string alignment).
local function distance(one, other)
  local before, last = {}, {}
  for j = 0, #other do
    last[j] = j
  end
  for i = 1, #one do
    local row = { [0] = i }
    for j = 1, #other do
      local cost = one:byte(i) == other:byte(j) and 0 or 1
      local steps = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
      local is_swap = i > 1 and j > 1 and one:byte(i) == other:byte(j - 1) and one:byte(i - 1) == other:byte(j)
      if is_swap then
        steps = math.min(steps, before[j - 2] + 1)
      end
      row[j] = steps
    end
    before, last = last, row
  end
  return last[#other]
end

-- What says that a name isn't known, with the nearest of those that are, or all of them.
local function not_known(name, known)
  local names = {}
  for each in pairs(known) do
    names[#names + 1] = each
  end
  table.sort(names)
  if #names == 0 then
    return "is not known here; nothing is taken here"
  end
  local nearest, steps
  local plain = name:lower():gsub("[^a-z0-9]", "")
  if #name <= 64 then
    for _, each in ipairs(names) do
      local far = distance(plain, (each:gsub("_", "")))
      if far <= math.min(FARTHEST_SLIP, math.floor(#each / 2)) and (not steps or far < steps) then
        nearest, steps = each, far
      end
    end
  end
  if nearest then
    return "is not known here; did you mean " .. nearest .. "?"
  end
  return "is not known here; known are " .. table.concat(names, ", ")
end

-- A field that nobody knows; `known` has those that are known as its keys.
function violations:add_unknown(field, name, known)
  -- To look for the nearest name takes a while, so it isn't done for what won't be told.
  self:add(field, self.count < MOST_TOLD and not_known(name, known) or "")
end

-- What is wrong with the form, for a service to tell with what it finds, as a JSON list of pairs in the characters that a
-- header takes. Limits the service finds again.
function violations:header()
  local pairs_of = {}
  for _, each in ipairs(self.list) do
    pairs_of[#pairs_of + 1] = "[" .. text.json(each.field) .. "," .. text.json(each.description) .. "]"
  end
  return text.percent_encoded("[" .. table.concat(pairs_of, ",") .. "]")
end

-- The error of an answer: code, message and details, as a JSON object.
function violations:error(info)
  local texts, entries, length = {}, {}, 0
  local function entry(field, description)
    entries[#entries + 1] = '{"field":' .. text.json(field) .. ',"description":' .. text.json(description) .. "}"
  end
  local function tell(each)
    length = length + #each.field + #each.description + 4
    if length <= LONGEST_MESSAGE then
      texts[#texts + 1] = each.field .. ": " .. each.description
    end
    entry(each.field, each.description)
  end
  local told, rest = {}, self.count + self.limit_count
  for _, list in ipairs({ self.list, self.limits }) do
    for _, each in ipairs(list) do
      if list == self.limits and told[each.field] then
        rest = rest - 1 -- what is wrong with it otherwise is enough
      elseif #entries < MOST_TOLD then
        tell(each)
        told[each.field] = true
      end
    end
  end
  rest = rest - #entries
  if rest > 0 then
    entry("…", "and " .. rest .. " more wrong fields")
  end
  local types = "type.googleapis.com/google.rpc."
  return '{"code":"INVALID_REQUEST","message":' .. text.json(table.concat(texts, "; ")) .. ',"details":['
    .. info .. ","
    .. '{"@type":"' .. types .. 'BadRequest","field_violations":[' .. table.concat(entries, ",") .. "]}]}"
end

return violations
