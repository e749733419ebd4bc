#!/usr/bin/env python3
"""tests/live/forger.py SERVER PORT ELSEWHERE EVIL - at SERVER:53 in front of the name server at SERVER:PORT. Before each answer come three
that say EVIL: with another ID, about another name, and from ELSEWHERE; and the answer itself says so of a name that was not asked for."""
import socket
import struct
import sys
import time

server, port, elsewhere, evil = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def bound(address, at):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, at))
    return s


def end_of_name(message, at):
    while message[at]:
        at += message[at] + 1
    return at + 1


def address_of(owner):
    return owner + struct.pack("!HHIH", 1, 1, 300, 4) + socket.inet_aton(evil)


def forgery(question, number=None, name=None):
    """The answer EVIL to an A question, or an SRV record that leads there; what else is asked for gets an A record, too."""
    end = end_of_name(question, 12)
    record = address_of(b"\xc0\x0c")
    if question[end:end + 2] == b"\x00\x21":
        data = struct.pack("!HHH", 0, 0, 5060) + b"\x04evil\x07example\x04test\x00"
        record = b"\xc0\x0c" + struct.pack("!HHIH", 33, 1, 300, len(data)) + data
    return (number or question[:2]) + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0) + (name or question[12:end]) + question[end:end + 4] + record


def with_more(answer):
    """What nobody asked for: that the target of SRV is at EVIL."""
    more = struct.unpack("!H", answer[10:12])[0] + 1
    return answer[:10] + struct.pack("!H", more) + answer[12:] + address_of(b"\x03one\x07example\x04test\x00")


def main():
    front, side, back = bound(server, 53), bound(elsewhere, 53), bound(server, 0)
    back.settimeout(2)
    print("ready", flush=True)
    while True:
        question, asker = front.recvfrom(4096)
        other = struct.pack("!H", (struct.unpack("!H", question[:2])[0] + 1) & 0xffff)
        front.sendto(forgery(question, number=other), asker)
        front.sendto(forgery(question, name=b"\x05wrong\x07example\x04test\x00"), asker)
        side.sendto(forgery(question), asker)
        print("forged 3", flush=True)
        time.sleep(0.02)
        back.sendto(question, (server, port))
        front.sendto(with_more(back.recv(4096)), asker)


main()
