-- Whether a REST request is one that its route takes: the verb, the query and the body, all that is wrong at once. The
-- transcoder behind this would drop fields that it doesn't know without a word, and name only the first wrong type.
-- An error in a script would let the request through as it is, so nothing here may raise.

local body = require("body")
local contracts = require("contracts")
local error_info = require("error_info")
local query = require("query")
local routes = require("routes")
local text = require("text")
local violations = require("violations")

-- A service takes 8 KiB of headers, a token among them.
local LONGEST_HEADER = 4000

local function refuse(handle, found)
  handle:streamInfo():dynamicMetadata():set("gateway", "error_code", "INVALID_REQUEST")
  handle:respond({ [":status"] = "400" }, found:error(error_info.json(handle, "INVALID_REQUEST")))
end

-- Lets a service tell what is wrong together with what it finds itself: it gets what is right of the request, and what was
-- wrong in a header that nobody outside may set. A service that sees it refuses, whatever else it finds. Returns whether
-- that goes: not everything can be left out, nor is a header without end.
local function hand_on(handle, found, path, kept_query, kept_body)
  local told = found:header()
  if found:is_long() or #told > LONGEST_HEADER or not kept_body then
    return false
  end
  local headers, buffer = handle:headers(), handle:body()
  headers:replace(":path", kept_query == "" and path or path .. "?" .. kept_query)
  headers:remove("idempotency-key") -- which belongs to the request as it was
  headers:add("x-form-faults", told)
  if buffer then
    headers:replace("content-length", tostring(buffer:setBytes(kept_body)))
  end
  return true
end

-- A service waits for the message that a call has not sent, for as long as it may.
local function check_grpc_web(handle, path)
  if contracts.streams[path] then
    return
  end
  local buffer = handle:body()
  local sent = buffer and buffer:length() or 0
  local is_whole = sent >= 5
  if is_whole and not (handle:headers():get("content-type") or ""):lower():find("grpc-web-text", 1, true) then
    local a, b, c, d = buffer:getBytes(1, 4):byte(1, 4)
    is_whole = sent == 5 + ((a * 256 + b) * 256 + c) * 256 + d
  end
  if not is_whole then
    handle:streamInfo():dynamicMetadata():set("gateway", "error_code", "INVALID_REQUEST")
    local message = "The body must be one grpc-web frame with the request's message."
    handle:respond({ [":status"] = "200", ["grpc-status"] = "3", ["grpc-message"] = message }, "") -- INVALID_ARGUMENT
  end
end

local function other_verb(handle, verb, verbs)
  local allow = routes.allow(verbs)
  if verb == "OPTIONS" and allow then
    handle:respond({ [":status"] = "204", allow = allow }, "")
  elseif allow then
    handle:streamInfo():dynamicMetadata():set("gateway", "error_code", "METHOD_NOT_ALLOWED")
    handle:respond({ [":status"] = "405", allow = allow }, "")
  end -- a path that no route has is answered where all such are
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, written = (headers:get(":path") or "/"):match("^([^?]*)%??(.*)$")
  local kind = headers:get("content-type") or ""
  if kind:sub(1, 16):lower() == "application/grpc" then
    if kind:sub(17, 20):lower() == "-web" then
      check_grpc_web(handle, path)
    end
    return
  end
  local verb = headers:get(":method") or ""
  local route, verbs = routes.find(contracts.routes, path, verb == "HEAD" and "GET" or verb)
  if not route or verb == "HEAD" and not route.has_head then
    other_verb(handle, verb, verbs)
    return
  end
  local found = violations.none()
  local is_text = not (path:find("%", 1, true) and text.not_utf8(text.percent_decoded(path)))
  if not is_text then
    found:add("path", "must be UTF-8")
  end
  if (headers:get("idempotency-key") or ""):find("[^ -~]") then -- gRPC carries nothing else
    found:add("idempotency-key", "must be at most 200 printable ASCII characters")
  end
  local kept_query = written ~= "" and query.check(found, route.query, written) or ""
  local kept_body
  if route.body then
    local buffer = handle:body()
    local sent = buffer and buffer:length() > 0 and buffer:getBytes(0, buffer:length()) or ""
    kept_body = body.check(found, sent, contracts, route.body, route.variables)
  end
  if found.count > 0 then
    if not (is_text and route.tells_form_faults and hand_on(handle, found, path, kept_query, kept_body)) then
      refuse(handle, found)
    end
  elseif verb == "HEAD" then
    headers:replace(":method", "GET") -- what contracts have no word for
  end
end
