-- Which route a path and a verb mean.

local routes = {}

local function add_verbs(node, verbs)
  for verb, route in pairs(node.routes) do
    verbs[verb] = true
    if route.has_head then
      verbs.HEAD = true
    end
  end
end

-- A literal segment goes before one that anything may be, but only if the rest of the path fits as well.
local function find(node, segments, index, verb, verbs)
  local segment = segments[index]
  if not segment then
    add_verbs(node, verbs)
    return node.routes[verb]
  end
  local literal = node.literals[segment]
  local found = literal and find(literal, segments, index + 1, verb, verbs)
  if not found and node.variable and segment ~= "" then
    found = find(node.variable, segments, index + 1, verb, verbs)
  end
  return found
end

-- The route, and the verbs that the path has (as a set), which is empty where no route has the path.
function routes.find(root, path, verb)
  local segments, verbs = {}, {}
  for segment in (path:sub(2) .. "/"):gmatch("([^/]*)/") do
    segments[#segments + 1] = segment
  end
  return find(root, segments, 1, verb, verbs), verbs
end

-- The verbs as the header Allow lists them; nil for none.
function routes.allow(verbs)
  local names = {}
  for verb in pairs(verbs) do
    names[#names + 1] = verb
  end
  if #names == 0 then
    return nil
  end
  names[#names + 1] = "OPTIONS"
  table.sort(names)
  return table.concat(names, ", ")
end

return routes
