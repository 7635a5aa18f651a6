"""The web server: HTTP/1.1 on uvloop and httptools, with Django in threads.

One thread reads and writes all connections; a request takes a thread only when it is complete. So slow clients cost
memory, and no thread. Names, values and order of headers, the path as sent and the end of the body are known.

| module | what it does |
|---|---|
| `server.py` | starts, listens, stops; one process, or several that share the port |
| `connection.py` | one client's connection: serves its requests, writes the responses, enforces deadlines |
| `request_reader.py` | parses requests, within limits of size |
| `streamed_response.py` | a response that is produced while the client reads it |
| `received_request.py` | a request with its body, and its WSGI environment |
| `response_head.py` | the status line and headers of a response |
| `body_rules.py` | how large a body may be at each kind of URL, and refusals that need no body |
| `fair_threads.py` | the threads that run Django, shared fairly between clients |
"""
