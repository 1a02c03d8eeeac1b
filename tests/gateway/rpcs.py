"""Paths of RPCs that the tests make do things; each stands for its kind."""

GET_ME = "/mirage.auth.v1.AccountService/GetMe"  # unary, for users
UPDATE_ME = "/mirage.auth.v1.AccountService/UpdateMe"  # unary with a body
LOGIN = "/mirage.auth.v1.SessionService/Login"  # unary, for anyone
ISSUE_TOKEN = "/mirage.auth.v1.TokenService/IssueToken"  # a raw body in, a raw answer out
CREATE_TICKET = "/mirage.auth.v1.StreamTicketService/CreateStreamTicket"  # what a browser needs for a stream
UPLOAD = "/mirage.dataset.v1.DatasetService/UploadDataset"  # a stream of requests
LIST_ROWS = "/mirage.dataset.v1.DatasetService/ListRows"  # answers that may be large
EXPORT = "/mirage.dataset.v1.DatasetService/ExportDataset"  # a stream of bytes
WATCH = "/mirage.dataset.v1.DatasetService/WatchDataset"  # a stream of events
SAMPLE = "/mirage.generation.v1.ModelService/SampleModel"  # a body in, bytes out
KEY_SET = "/mirage.auth.v1.KeyService/GetKeySet"  # bytes in one piece
