// Package kernel holds the Python kernel of a session (embedded, folder py) and
// the daemon's side of the protocol that the two speak.
//
// # Transport
//
// The kernel is started with a listening Unix stream socket as a descriptor
// and serves one connection at a time; others wait in the backlog. When the
// connection ends it accepts again: a daemon that restarts finds the kernel,
// its variables and its running execution as they were.
//
// A frame is a length, 4 bytes big-endian, and a JSON object of that many bytes
// in UTF-8 without lone surrogates, nested at most MaxDepth deep. Frames from
// the kernel have at most MaxFrame bytes, those from the daemon MaxRequest.
//
// # Connecting
//
// The kernel speaks first; hello has no sequence number:
//
//	{"type":"hello","protocol":1,"python":"3.11.7","shell":"plain","pid":7,
//	 "next_seq":1,"acked":0,"last_id":0,"active":null}
//
// shell is "ipython" where the image has IPython, else "plain".
// next_seq is the number that the next event will get, acked the highest one
// acknowledged, last_id the id of the last request that arrived (0: none).
// active is null, or {"id":…,"type":…,"seq":…}: the request whose answer is not
// acknowledged; seq is the number of that answer, 0 while it runs. The daemon
// answers with the number of the last event that it has, 0 if it knows none:
//
//	{"type":"resume","after":n}
//
// and the kernel sends everything from max(n, acked)+1 on.
//
// A kernel that a zygote forks has its first connection from the beginning. The
// daemon knows from the zygote what hello would say, so instead of it comes
//
//	{"type":"started"}
//
// when the kernel can take requests, and no resume.
//
// # Requests
//
// One at a time, with ids that grow. The next one may be sent once the answer to
// the last has arrived, whether or not that is acknowledged.
//
//	{"type":"execute","id":1,"code":"1+1","stdin":null,"env":{},"cwd":""}
//	{"type":"condition","id":2,"expr":"result == 2","stdout":"","stderr":""}
//	{"type":"complete","id":3,"code":"pri","cursor":3}
//	{"type":"is_complete","id":4,"code":"if x:"}
//
// stdin is base64, or null for end-of-file at once. env and cwd (relative to
// the kernel's first working directory) hold for this execution; a cwd that
// does not exist is answered with an error event. An optional filename replaces
// "<cell N>" in tracebacks. A condition sees the session's variables, and
// result (what the last execution bound, else None), stdout and stderr.
//
// # Events
//
// Each has "seq": 1, 2, 3 … over the kernel's life.
//
//	{"seq":1,"type":"stdout","text":"…"}       stderr likewise
//	{"seq":2,"type":"display_data","data":{"text/plain":"…"},"metadata":{}}
//	{"seq":3,"type":"execute_result","data":{…},"metadata":{}}
//	{"seq":4,"type":"error","name":"ValueError","value":"…","traceback":["…"]}
//	{"seq":5,"type":"done","id":1,"status":"ok","result":2,"result_json":true,
//	 "result_repr":"2","result_source":"expression"}
//	{"seq":6,"type":"verdict","id":2,"status":"passed","message":""}
//
//	{"seq":7,"type":"clear_output","wait":true}
//	{"seq":8,"type":"completions","id":3,"matches":["print"],"start":0,"end":3}
//	{"seq":9,"type":"completeness","id":4,"status":"incomplete","indent":"    "}
//
// update_display_data is as display_data; both have "display_id" when the
// display can be updated. traceback is lines without line ends. done ends an
// execution: status is ok, error or interrupted; result is present when
// result_json is true, which says that it is losslessly JSON; result_repr is
// null when result_source is "none", else that is "expression" or "variable".
// verdict ends a condition: passed, wrong_answer, runtime_error, compile_error
// or interrupted. completions ends a complete, whose places are characters, and
// completeness an is_complete: complete, incomplete or invalid. clear_output says
// that what was shown is to go, with wait when more comes. Output that comes while nothing runs is kept and sent with
// the next request.
//
// # Acknowledgement
//
//	{"type":"ack","seq":n}
//
// says that the daemon has every event up to n; the kernel then forgets them.
// It keeps at most 16 MiB that are not acknowledged, whether or not a daemon is
// connected: then whatever writes output waits. Nothing is dropped.
//
// # Trust
//
// User code shares the kernel's process, so the daemon takes every byte as
// hostile: lengths are checked before memory is taken, types are strict, and
// whatever does not fit this description ends the connection with ErrProtocol.
// A result or a verdict is what that process says; the package only promises
// that it is well-formed.
//
// Interrupting is not part of the protocol: the caller sends SIGINT. It raises
// KeyboardInterrupt in user code, is kept while a request that has arrived is
// being set up, and is ignored when nothing runs.
//
// Capturing output inside the process has two limits. C code that holds the
// interpreter's lock and writes more than a pipe takes (1 MiB) waits for ever.
// And when subprocesses or C code write to both streams with nothing of Python's
// own in between, the order of the two streams is not known.
package kernel
