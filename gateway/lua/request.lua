-- The way in: prefixes, headers that nobody outside may set, and the kind of body.
-- An error in a script would let the request through as it is, so nothing here may raise: absent values are defaulted.

local error_info = require("error_info")

-- Only the gateway and what stands behind it may set these.
local SPOOFABLE = {
  "forwarded", "x-client-address", "x-form-faults", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "x-stream-ticket",
  "x-upload-length", "x-user-id", "x-user-role", "x-user-roles",
}
-- These steer gRPC. A REST client has no business with them: a deadline of its own would end an upload that waits.
local GRPC_ONLY = { "grpc-accept-encoding", "grpc-encoding", "grpc-previous-rpc-attempts", "grpc-timeout", "te" }

local function media_type(headers)
  return (headers:get("content-type") or ""):match("^%s*([^;%s]*)"):lower()
end

local function without_prefix(path)
  return path:match("^/api/v1(/.*)$") or path:match("^/api(/.*)$")
end

-- 192.0.2.1 of 192.0.2.1:5000, 2001:db8::1 of [2001:db8::1]:5000.
local function host_of(address)
  return address:match("^%[(.*)%]:%d+$") or address:match("^(.*):%d+$") or address
end

-- Whether there is a body of another kind than the JSON that the route takes.
local function is_wrong_media(headers, media)
  local length = headers:get("content-length")
  if length == "0" or media == "application/json" then
    return false
  end
  return media ~= "" or length ~= nil or headers:get("transfer-encoding") ~= nil
end

local function remove_all(headers, names)
  for _, name in ipairs(names) do
    headers:remove(name)
  end
end

-- Envoy takes orders by some headers: time limits, retries, what the path was. And a header that gRPC can't carry would
-- fail the call: the names and values that it takes are fewer than those of HTTP.
local function is_unfit(name, value, is_grpc)
  if name:sub(1, 1) == ":" or name == "idempotency-key" then -- the latter is refused, not dropped
    return false
  end
  return name:sub(1, 8) == "x-envoy-" or name:find("[^a-z0-9_.-]") or value:find("[^ -~]")
    or not is_grpc and name:sub(-4) == "-bin"
end

local function remove_unfit(headers, is_grpc)
  local names = {}
  for name, value in pairs(headers) do
    if is_unfit(name, value, is_grpc) then
      names[#names + 1] = name
    end
  end
  remove_all(headers, names)
end

-- A browser's EventSource sends no token: its ticket comes in the query. It goes on as a header, so that no path that is
-- written down anywhere has it. A second one stays and is refused, as every parameter that a route doesn't know.
local function take_ticket(headers)
  local bare, query = (headers:get(":path") or "/"):match("^([^?]*)%?(.*)$")
  local ticket
  local others = {}
  for parameter in (query or ""):gmatch("[^&]+") do
    local value = not ticket and parameter:match("^ticket=(.*)$")
    if value then
      ticket = value
    else
      others[#others + 1] = parameter
    end
  end
  if ticket then
    headers:replace(":path", #others > 0 and bare .. "?" .. table.concat(others, "&") or bare)
    headers:add("x-stream-ticket", ticket)
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  remove_all(headers, SPOOFABLE)
  error_info.note_ids(handle)
  local media = media_type(headers)
  local is_grpc = media:sub(1, 16) == "application/grpc"
  local method = headers:get(":method")
  if not is_grpc and method == "GET" then
    take_ticket(headers)
  elseif method == "HEAD" then
    handle:streamInfo():dynamicMetadata():set("gateway", "head", true) -- for the way out
  end
  remove_unfit(headers, is_grpc)
  headers:add("x-forwarded-for", host_of(handle:streamInfo():downstreamRemoteAddress()))

  local path = without_prefix(headers:get(":path") or "/")
  if path then
    headers:replace(":path", path)
    handle:clearRouteCache()
  end

  if is_grpc then
    handle:streamInfo():dynamicMetadata():set("gateway", "grpc", true) -- for the way out
    return
  end
  remove_all(headers, GRPC_ONLY)
  if method ~= "POST" and method ~= "PUT" and method ~= "PATCH" then
    return
  end
  if handle:metadata():get("upload") then
    local length = headers:get("content-length")
    if length then
      headers:add("x-upload-length", length)
    end
  elseif not handle:metadata():get("raw_body") and is_wrong_media(headers, media) then
    handle:respond({ [":status"] = "415" }, "")
  end
end
