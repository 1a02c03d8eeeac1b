-- Answers tell how much of a limit is left, and those to who is over it are an error in the client's protocol.

local error_info = require("error_info")
local text = require("text")

local rate_limits = {}

local CLAIMS = "envoy.filters.http.jwt_authn"
local RESOURCE_EXHAUSTED = "8"

-- One number of protocol buffers' wire format, of 7 bits a byte (https://protobuf.dev/programming-guides/encoding).
local function varint(number)
  local bytes = {}
  while number >= 128 do
    bytes[#bytes + 1] = string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  bytes[#bytes + 1] = string.char(number)
  return table.concat(bytes)
end

local function number_field(index, value)
  return varint(index * 8) .. varint(value)
end

local function bytes_field(index, value)
  return varint(index * 8 + 2) .. varint(#value) .. value
end

local function any(name, message)
  return bytes_field(1, "type.googleapis.com/google.rpc." .. name) .. bytes_field(2, message)
end

-- The google.rpc.Status of the error.
local function status(message, metadata, wait)
  local info = bytes_field(1, "RATE_LIMIT_EXCEEDED") .. bytes_field(2, "mirage")
  for _, pair in ipairs(metadata) do
    info = info .. bytes_field(3, bytes_field(1, pair[1]) .. bytes_field(2, pair[2]))
  end
  local retry = bytes_field(1, number_field(1, wait))
  return number_field(1, tonumber(RESOURCE_EXHAUSTED)) .. bytes_field(2, message)
    .. bytes_field(3, any("ErrorInfo", info)) .. bytes_field(3, any("RetryInfo", retry))
end

-- The same as the error of an answer in JSON.
local function error_object(message, metadata, wait)
  local pairs_of_metadata = {}
  for index, pair in ipairs(metadata) do
    pairs_of_metadata[index] = text.json(pair[1]) .. ":" .. text.json(pair[2])
  end
  local types = "type.googleapis.com/google.rpc."
  return '{"code":"RATE_LIMIT_EXCEEDED","message":' .. text.json(message) .. ',"details":['
    .. '{"@type":"' .. types .. 'ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"mirage","metadata":{'
    .. table.concat(pairs_of_metadata, ",") .. "}},"
    .. '{"@type":"' .. types .. 'RetryInfo","retry_delay":"' .. wait .. 's"}]}'
end

local UNITS = { [1] = "a second", [60] = "a minute", [3600] = "an hour", [86400] = "a day" }

local function sentence(limit, seconds, wait)
  local requests = limit == 1 and "1 request" or limit .. " requests"
  local again = wait == 1 and "1 second" or wait .. " seconds"
  return "Too many requests: at most " .. requests .. " in " .. (UNITS[seconds] or seconds .. " seconds")
    .. ". Try again in " .. again .. "."
end

-- The first number of a header.
local function number(headers, name)
  return tonumber((headers:get(name) or ""):match("^%d+"))
end

-- The time that the limit is for, in seconds: that of users or of addresses.
local function unit_seconds(handle)
  local route = handle:metadata()
  local of_user = route:get("user_seconds")
  if of_user and handle:streamInfo():dynamicMetadata():get(CLAIMS) then
    return of_user
  end
  return route:get("address_seconds") or 60
end

-- Sets the headers that tell the limit; returns what an answer to who is over it needs, nil for other answers.
function rate_limits.tell(handle, headers)
  local limit = number(headers, "x-ratelimit-limit")
  if not limit then
    return nil
  end
  local remaining = number(headers, "x-ratelimit-remaining") or 0
  local next_one = math.max(number(headers, "x-ratelimit-reset") or 0, 1)
  local seconds = unit_seconds(handle)
  local is_over = headers:get("x-rate-limited") ~= nil
  headers:remove("x-rate-limited")
  -- Envoy's own buckets fill evenly, and it tells when the next request is let in. A service that counts for several
  -- gateways fills them all at once, tells when, and tells its policy behind the limit.
  if not (headers:get("x-ratelimit-limit") or ""):find(";w=", 1, true) then
    local all = math.ceil((limit - remaining) * seconds / limit)
    headers:replace("x-ratelimit-reset", tostring(math.max(all, next_one)))
  end
  headers:replace("x-ratelimit-limit", tostring(limit))
  if not is_over then
    return nil
  end
  headers:replace("retry-after", tostring(next_one))
  return { limit = limit, seconds = seconds, wait = next_one }
end

local function metadata_of(handle, over)
  local request_id, trace_id = error_info.ids(handle)
  return {
    { "limit", tostring(over.limit) },
    { "window_seconds", tostring(over.seconds) },
    { "retry_after_seconds", tostring(over.wait) },
    { "request_id", request_id },
    { "trace_id", trace_id },
  }
end

-- The error over gRPC and grpc-web: in headers, as there is nothing but them.
function rate_limits.refuse_grpc(handle, headers, over)
  local message = sentence(over.limit, over.seconds, over.wait)
  headers:replace(":status", "200")
  headers:replace("grpc-message", message)
  headers:replace("grpc-status-details-bin", handle:base64Escape(status(message, metadata_of(handle, over), over.wait)))
end

-- The error of an answer in JSON.
function rate_limits.error(handle, over)
  return error_object(sentence(over.limit, over.seconds, over.wait), metadata_of(handle, over), over.wait)
end

return rate_limits
