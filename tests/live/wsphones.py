#!/usr/bin/python3
"""Two phones over WebSocket (Debian's python3-websocket): both register, one calls the other through the SBC, and hangs up. What they
say is written as browsers write it: no address of their own, transport=ws, no Content-Length where nothing follows.

wsphones.py URL DOMAIN CALLS [CA-FILE]: ends with 0, or says what went wrong."""
import ssl
import sys
import uuid

import websocket

SDP = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Phone:
    def __init__(self, url, user, domain, ca):
        options = {"ca_certs": ca} if ca else {"cert_reqs": ssl.CERT_NONE}
        self.socket = websocket.create_connection(url, timeout=10, subprotocols=["sip"], sslopt=options,
                                                  origin="https://phone.example.com")
        self.via = "WSS" if url.startswith("wss:") else "WS"
        self.user, self.domain = user, domain
        self.host = uuid.uuid4().hex[:12] + ".invalid"
        self.contact = f"<sip:{user}@{self.host};transport=ws>"
        self.tag = uuid.uuid4().hex[:8]
        self.cseq = 0

    def write(self, text, kind=websocket.ABNF.OPCODE_TEXT):
        self.socket.send(text, kind)

    def read(self, start):
        while True:
            kind, data = self.socket.recv_data()
            text = data.decode()
            if kind not in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                continue
            if text.startswith("SIP/2.0 100"):
                continue
            if not text.startswith(start):
                sys.exit(f"{self.user}: {start} was expected, and this came:\n{text}")
            self.kind = kind
            return text

    def request(self, method, uri, to, call_id, cseq, more="", body=""):
        head = (f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{self.via} {self.host};branch=z9hG4bK{uuid.uuid4().hex}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{self.user}@{self.domain}>;tag={self.tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n"
                f"CSeq: {cseq} {method}\r\nContact: {self.contact}\r\n{more}")
        if body:
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        return head + "\r\n" + body

    def register(self):
        self.cseq += 1
        to = f"<sip:{self.user}@{self.domain}>"
        self.write(self.request("REGISTER", f"sip:{self.domain}", to, "reg-" + self.host, self.cseq, "Expires: 120\r\n"))
        if self.host not in self.read("SIP/2.0 200"):
            sys.exit(f"{self.user}: the answer to REGISTER does not have its Contact")

    def answer(self, request, status, body=""):
        to = header(request, "To")
        if "tag=" not in to:
            to += ";tag=" + self.tag
        text = f"SIP/2.0 {status}\r\n"
        for line in request.split("\r\n"):
            if line.lower().startswith(("via:", "from:", "call-id:", "cseq:", "record-route:")):
                text += line + "\r\n"
        text += f"To: {to}\r\nContact: {self.contact}\r\n"
        if body:
            text += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        self.write(text + "\r\n" + body)


def header(text, name):
    for line in text.split("\r\n"):
        if line.lower().startswith(name.lower() + ":"):
            return line.split(":", 1)[1].strip()
    sys.exit(f"no {name} in:\n{text}")


def apart(text, other):
    """Nothing of one phone is seen by the other."""
    for secret in (other.host, other.tag):
        if secret in text:
            sys.exit(f"{secret} is seen on the other side:\n{text}")


def call(a, b, number):
    call_id = uuid.uuid4().hex
    to = f"<sip:{b.user}@{b.domain}>"
    invite = a.request("INVITE", f"sip:{b.user}@{b.domain}", to, call_id, 1, body=SDP)
    if number % 3 == 1:  # as binary: what comes back is binary, too
        a.write(invite.encode(), websocket.ABNF.OPCODE_BINARY)
    elif number % 3 == 2:  # in fragments, with a ping between
        a.socket.send_frame(websocket.ABNF.create_frame(invite[:100], websocket.ABNF.OPCODE_TEXT, 0))
        a.socket.ping("between")
        a.socket.send_frame(websocket.ABNF.create_frame(invite[100:], websocket.ABNF.OPCODE_CONT, 1))
    else:
        a.write(invite)
    request = b.read("INVITE ")
    apart(request, a)
    if b.host not in request.split("\r\n")[0] or "transport=ws" not in header(request, "Contact"):
        sys.exit(f"this INVITE is not for a browser:\n{request}")
    b.answer(request, "180 Ringing")
    apart(a.read("SIP/2.0 180"), b)
    b.answer(request, "200 OK", SDP)
    ok = a.read("SIP/2.0 200")
    apart(ok, b)
    if number % 3 == 1 and a.kind != websocket.ABNF.OPCODE_BINARY:
        sys.exit("the answer to a binary message is none")
    target, to = header(ok, "Contact").strip("<>"), header(ok, "To")
    a.write(a.request("ACK", target, to, call_id, 1))
    b.read("ACK ")
    if number % 2:
        a.write(a.request("BYE", target, to, call_id, 2))
        b.answer(b.read("BYE "), "200 OK")
        a.read("SIP/2.0 200")
    else:
        bye = b.request("BYE", header(request, "Contact").strip("<>"), header(request, "From"), header(request, "Call-ID"), 1)
        b.write(bye.replace(f"<sip:{b.user}@{b.domain}>;tag=", header(request, "To") + ";tag=", 1))
        a.answer(a.read("BYE "), "200 OK")
        b.read("SIP/2.0 200")


def keep_alive(phone):
    phone.socket.ping("are you there?")
    while True:
        kind, data = phone.socket.recv_data(control_frame=True)
        if kind == websocket.ABNF.OPCODE_PONG:
            break
    if data != b"are you there?":
        sys.exit(f"a pong with {data}")
    phone.write("\r\n\r\n")
    if phone.socket.recv() != "\r\n":
        sys.exit("a double CRLF is not answered by one")


def main():
    url, domain, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
    ca = sys.argv[4] if len(sys.argv) > 4 else None
    anna, bob = Phone(url, "anna", domain, ca), Phone(url, "bob", domain, ca)
    if anna.socket.getsubprotocol() != "sip":
        sys.exit("the subprotocol is not sip")
    anna.register()
    bob.register()
    keep_alive(anna)
    for number in range(calls):
        call(anna, bob, number)
    for phone in (anna, bob):
        phone.socket.close(timeout=5)
    for wrong, status in (({"subprotocols": ["xmpp"]}, 400), ({"origin": "https://evil.example"}, 403)):
        try:
            websocket.create_connection(url, timeout=10, sslopt={"cert_reqs": ssl.CERT_NONE},
                                        **{"subprotocols": ["sip"], "origin": "https://phone.example.com", **wrong})
            sys.exit(f"{wrong} was taken")
        except websocket.WebSocketBadStatusException as refused:
            if refused.status_code != status:
                sys.exit(f"{wrong}: {refused.status_code}")


main()
