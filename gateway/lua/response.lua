-- The way out: JSON answers in the common shape. Streams, raw bytes, gRPC and grpc-web pass as they are, and so do
-- Envoy's own errors: they have that shape already, and a charset in their type that the transcoder never writes.
-- An error in a script would let the answer through as it is, so nothing here may raise: absent values are defaulted.

local error_info = require("error_info")
local rate_limits = require("rate_limits")
local text = require("text")

-- Codes of errors that carry no reason of their own, by gRPC code.
local CODES = {
  "CANCELLED", "UNKNOWN", "INVALID_REQUEST", "TIMEOUT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
  "DATA_LOSS", "UNAUTHENTICATED",
}

-- Where the gRPC code is too coarse, the reason decides the HTTP status.
local STATUS_BY_REASON = {
  CHECKSUM_MISMATCH = "400",
  DATASET_TOO_LARGE = "413",
  FILE_TOO_LARGE = "413",
  REQUEST_TOO_LARGE = "413",
  STORAGE_FULL = "507",
  STORAGE_QUOTA_EXCEEDED = "413",
  UNSUPPORTED_FILE_TYPE = "400",
  UPLOAD_TOO_SLOW = "408",
}

-- Removes a header and returns its value, nil where it is missing.
local function take(headers, name)
  local value = headers:get(name)
  headers:remove(name)
  return value
end

-- RFC 3339 in UTC, with milliseconds.
local function now(handle)
  local milliseconds = handle:timestamp()
  return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(milliseconds / 1000)) .. string.format(".%03dZ", milliseconds % 1000)
end

-- What a service said in its trailers, as the transcoder would have written it.
local function status_of_trailers(headers)
  local code = tonumber(take(headers, "grpc-status") or "") or 2
  local message = text.percent_decoded(take(headers, "grpc-message") or "")
  return string.format('{"code":%d,"message":%s,"details":[]}', code, text.json(message))
end

-- The reason of the ErrorInfo. Quotes inside other strings are escaped, so only a real detail can match.
local function reason_in(body)
  return body:match('"@type":"type%.googleapis%.com/google%.rpc%.ErrorInfo","reason":"([A-Z0-9_]+)"')
end

-- Errors that the gRPC library makes before a service sees the request carry no reason.
local function reason_without_detail(code, body)
  if code == 8 and body:find("Received message larger than max", 1, true) then
    return "REQUEST_TOO_LARGE"
  end
  return CODES[code] or "UNKNOWN"
end

-- An error's details with one more before them. Quotes inside its message are escaped, so only the list can match.
local function with_detail(rest, detail)
  return (rest:gsub('"details":%[(.?)', function(following)
    return '"details":[' .. detail .. (following == "]" and "]" or "," .. following)
  end, 1))
end

local function body_of(handle)
  local buffer = handle:body(true)
  return buffer, buffer:length() > 0 and buffer:getBytes(0, buffer:length()) or ""
end

local function shape_success(handle, message)
  local buffer, data = body_of(handle)
  if data == "" then
    data = "{}"
  end
  buffer:setBytes(
    '{"success":true,"data":' .. data .. ',"message":' .. text.json(message) .. ',"timestamp":"' .. now(handle) .. '"}'
  )
end

-- An answer that says of what it is about that it isn't well: under a status of errors, and whole all the same.
local function shape_unwell(handle, code, message)
  local buffer, data = body_of(handle)
  handle:streamInfo():dynamicMetadata():set("gateway", "error_code", code)
  buffer:setBytes(
    '{"success":false,"data":' .. data .. ',"error":{"code":' .. text.json(code) .. ',"message":' .. text.json(message)
      .. ',"details":[]},"timestamp":"' .. now(handle) .. '"}'
  )
end

local function shape_error(handle, fallback)
  local buffer, body = body_of(handle)
  local headers = handle:headers() -- what was fetched before waiting for the body is of no use any more
  local code, rest = body:match('^{"code":(%d+),(.*)}$')
  if not code then
    body = fallback
    code, rest = body:match('^{"code":(%d+),(.*)}$')
  end
  if code == "1" and not reason_in(body) then
    -- Cancelled by a service that stopped in the middle: a caller who had cancelled would not read this.
    code, body = "14", ""
    rest = '"message":"The service is just being restarted. Try again soon.","details":[]'
    headers:replace(":status", "503")
    headers:replace("retry-after", "1")
  end
  local reason = reason_in(body)
  if not reason then
    reason = reason_without_detail(tonumber(code), body)
    rest = with_detail(rest, error_info.json(handle, reason))
  end
  -- For the access log, which reads the one from there and the other from the header.
  handle:streamInfo():dynamicMetadata():set("gateway", "error_code", reason)
  headers:replace("grpc-status", code)
  if STATUS_BY_REASON[reason] then
    headers:replace(":status", STATUS_BY_REASON[reason])
  end
  local seconds = body:match('"@type":"type%.googleapis%.com/google%.rpc%.RetryInfo","retry_delay":"([%d.]+)s"')
  if seconds then
    local wait = tostring(math.max(1, math.ceil(tonumber(seconds) or 1)))
    headers:replace("retry-after", wait)
    local limit = body:match('"metadata":{[^}]*"limit":"(%d+)"')
    if limit then
      headers:replace("x-ratelimit-limit", limit)
      headers:replace("x-ratelimit-remaining", "0")
      headers:replace("x-ratelimit-reset", wait)
    end
  end
  buffer:setBytes(
    '{"success":false,"error":{"code":"' .. reason .. '",' .. rest .. '},"timestamp":"' .. now(handle) .. '"}'
  )
end

-- A body whose length is announced: a client can tell where it was cut off. The connection can't be used again then.
local function announce_length(handle, headers, length)
  headers:replace("content-length", length)
  if handle:streamInfo():protocol() == "HTTP/1.1" then
    handle:streamInfo():drainConnectionUponCompletion()
  end
end

-- What the scripts on the way in have noted of the request.
local function is_noted(handle, what)
  local noted = handle:streamInfo():dynamicMetadata():get("gateway")
  return noted ~= nil and noted[what] == true
end

-- What HEAD gets of an answer: all but the body. Nothing may make a body of none, as compression does.
local function drop_body(handle)
  local buffer, body = body_of(handle)
  local headers = handle:headers()
  buffer:setBytes("")
  headers:replace("content-length", tostring(#body))
  headers:replace("cache-control", "no-store, no-transform")
end

-- The answer to a request over its limit: Envoy's own, which knows neither the limit nor the time.
local function refuse(handle, headers, over)
  handle:streamInfo():dynamicMetadata():set("gateway", "error_code", "RATE_LIMIT_EXCEEDED")
  headers:replace("grpc-status", "8") -- for the access log as well
  if is_noted(handle, "grpc") then
    rate_limits.refuse_grpc(handle, headers, over)
    if not headers:get("content-type") then
      headers:replace("content-type", "application/grpc-web+proto")
    end
    return
  end
  headers:replace("cache-control", "no-store")
  local body = '{"success":false,"error":' .. rate_limits.error(handle, over) .. ',"timestamp":"' .. now(handle) .. '"}'
  headers:replace("content-length", tostring(#body))
  if not is_noted(handle, "head") then
    handle:body(true):setBytes(body)
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local over = rate_limits.tell(handle, headers)
  if over then
    refuse(handle, headers, over)
    return
  end
  local status = tonumber(headers:get(":status") or "") or 500
  local content_type = headers:get("content-type") or ""
  local is_grpc = content_type:sub(1, 16) == "application/grpc"
  if is_grpc and (status == 200 or is_noted(handle, "grpc")) then
    return
  elseif content_type == "" and headers:get("grpc-status") and is_noted(handle, "grpc") then
    headers:replace("content-type", "application/grpc-web+proto") -- lost on the way from the script that refused it
    return
  end

  local raw = take(headers, "x-raw-body") or handle:metadata():get("raw")
  local length = take(headers, "x-content-length")
  local http_code = take(headers, "x-http-code")
  local error_code = take(headers, "x-error-code")
  local message = take(headers, "x-message") or "OK"
  if not headers:get("cache-control") then
    headers:add("cache-control", raw and "no-store, no-transform" or "no-store")
  end
  if status < 400 and http_code and http_code:match("^%d%d%d$") then
    headers:replace(":status", http_code)
  end
  if status < 400 and raw then
    if length and length:match("^%d+$") then
      announce_length(handle, headers, length)
    end
    return
  end

  -- An error whose details the transcoder doesn't know comes without a body, still as gRPC.
  local fallback = '{"code":2,"message":"","details":[]}'
  if is_grpc then
    fallback = status_of_trailers(headers)
    headers:replace("content-type", "application/json")
  elseif content_type ~= "application/json" then
    return
  end
  for _, name in ipairs({ "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding" }) do
    headers:remove(name)
  end
  if status < 400 and error_code then
    shape_unwell(handle, error_code, message)
  elseif status < 400 then
    shape_success(handle, message)
  else
    shape_error(handle, fallback)
  end
  if is_noted(handle, "head") then
    drop_body(handle)
  end
end
