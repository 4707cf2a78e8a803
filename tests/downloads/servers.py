"""HTTP servers that send a file, or misbehave."""

import http.server
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit


class Handler(http.server.BaseHTTPRequestHandler):
    """Answer with the file, or as configured for the path; record the requests."""

    def do_GET(self):
        self.server.requests.append(self)
        path = urlsplit(self.path).path
        self.server.answers.get(path, send_file)(self)

    def send(self, body=b'', status=200, **headers):
        """A complete answer; the keywords are headers, with _ for -."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), str(value))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, piece):
        """Send a piece again and again, until the client has enough of it."""
        while not self.server.is_over.wait(0.02):
            self.wfile.write(piece)

    def flood(self, piece):
        while not self.server.is_over.is_set():
            self.wfile.write(piece)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    """On this machine; secure if it is given a TLS context."""

    def __init__(self, content, context=None):
        super().__init__(('127.0.0.1', 0), Handler)
        self.content, self.answers, self.requests = content, {}, []
        self.is_over = threading.Event()
        self.url = f'{"https" if context else "http"}://127.0.0.1:{self.server_port}'
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request, client_address):
        pass  # the clients of these tests hang up


def send_file(handler):
    content = handler.server.content
    handler.send(content, Content_Length=len(content))


@contextmanager
def serving(content, context=None):
    with Server(content, context) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.is_over.set()
        server.shutdown()


# Answers; each does to the client what its name says.


def half(handler):
    content = handler.server.content
    handler.send(content[: len(content) // 2], Content_Length=len(content))


def silent(handler):
    handler.server.is_over.wait()


def stops(handler):
    handler.send(handler.server.content, Content_Length=10**6)
    handler.server.is_over.wait()


def drips(handler):
    handler.send(handler.server.content, Content_Length=10**6)
    handler.drip(b'\0')


def drips_headers(handler):
    handler.send_response(200)
    handler.flush_headers()
    handler.drip(b'X')


def drips_chunk_size(handler):
    handler.send(Transfer_Encoding='chunked')
    handler.drip(b'0')


def drips_trailers(handler):
    handler.send(b'1\r\nx\r\n0\r\n', Transfer_Encoding='chunked')
    handler.drip(b'X: y\r\n')


def endless(handler):
    handler.send()
    handler.flood(bytes(1 << 16))


def endless_chunks(handler):
    handler.send(Transfer_Encoding='chunked')
    handler.flood(b'10000\r\n' + bytes(1 << 16) + b'\r\n')


def endless_chunk(handler):
    handler.send(b'-1\r\n', Transfer_Encoding='chunked')
    handler.flood(bytes(1 << 16))


def endless_trailers(handler):
    handler.send(b'1\r\nx\r\n0\r\n', Transfer_Encoding='chunked')
    handler.flood(b'X: y\r\n' * 1000)


def endless_headers(handler):
    handler.flood(b'HTTP/1.1 100 Continue\r\n\r\n' * 1000)


def cut_chunks(handler):
    content = handler.server.content
    handler.send(b'%x\r\n' % len(content) + content, Transfer_Encoding='chunked')


def no_http(handler):
    handler.wfile.write(handler.server.content)


def repeats_the_request(handler):
    handler.wfile.write(f'No such file: {handler.path}\r\n\r\n'.encode())


def redirects(place, body=None):
    def answer(handler):
        handler.send(status=302, Location=place)
        if body:
            handler.flood(body)

    return answer


def sends(body, status=200, **headers):
    return lambda handler: handler.send(body, status, **headers)


PAGE = b'<!DOCTYPE html>\n<html><head><title> Sign in &ndash;\n Hub\x1b[2J</title></head></html>'
SILENT = [silent, stops]
ENDLESS = [endless, endless_chunks, endless_chunk, endless_trailers, endless_headers]
SLOW = [drips, drips_headers, drips_chunk_size, drips_trailers]
ANSWERS = {
    'a file cut in half': (half, r'only \d+ of \d+ bytes were received'),
    'a chunk cut': (cut_chunks, 'IncompleteRead'),
    'nothing': (lambda handler: None, 'closed connection without response'),
    'no HTTP': (no_http, 'not valid HTTP'),
    'no HTTP, but the request': (repeats_the_request, 'not valid HTTP'),
    'an empty file': (sends(b'', Content_Length=0), 'sent an empty file'),
    'an empty file of no length': (sends(b''), 'sent an empty file'),
    'HTML': (sends(PAGE, Content_Type='application/zip'), 'web page .*"Sign in \u2013 Hub'),
    'HTML without a title': (sends(b'\n<html><b>Not  here</b>'), '"Not here"'),
    'JSON': (sends(b'{"error": "Repository not found"}'), 'Repository not found'),
    'XML': (sends(b'<?xml version="1.0"?><E><C>NoSuchKey</C></E>'), 'NoSuchKey'),
    'text': (sends(b'version https://git-lfs.github.com/spec/v1\noid x'), 'version https://git'),
    'text in latin-1': (sends('Zugriff verweigert f\xfcr'.encode('latin-1')), 'Zugriff'),
    'gzip': (sends(b'\x1f\x8b\x08', Content_Encoding='GZip'), "compressed .'gzip'"),
    '404': (sends(b'', 404), 'status 404 Not Found'),
    '403': (sends(PAGE, 403), 'status 403 Forbidden'),
    '500': (sends(b'', 500), 'status 500'),
    '599': (sends(b'', 599), 'status 599'),
    '204': (sends(b'', 204), 'status 204'),
    'a part': (sends(b'\0', 206, Content_Range='bytes 0-0/2'), 'status 206'),
    'a redirect to nowhere': (sends(b'', 302), 'status 302'),
    'a redirect in a loop': (redirects('/swin.pth'), 'status 302.*a redirect in a loop'),
    'a redirect to a file': (redirects('file:///etc/passwd'), r'to a URL that is not http\(s\)'),
    'a redirect to FTP': (redirects('ftp://127.0.0.1/x.pth'), 'redirects from http to ftp'),
    'a redirect to data': (redirects('data:text/plain,hello'), r'to a URL that is not http\(s\)'),
    'an endless redirect': (redirects('ftp://127.0.0.1/', bytes(1 << 16)), 'redirects from'),
    'a file too large': (sends(b'\0', Content_Length=10**15), 'the limit is 34.4 GB'),
}
