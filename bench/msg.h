/* bench/msg.h - as much of a SIP message as the load generator needs: where its dialog headers are. Its peers are the
 * programs under test, so it is short rather than strict. */
#ifndef BENCH_MSG_H
#define BENCH_MSG_H
#include "bench/wire.h"

enum { MSG_LINES_MAX = 8 };
enum msg_method { M_OTHER,
	          M_INVITE,
	          M_ACK,
	          M_BYE,
	          M_OPTIONS,
	          M_CANCEL };

struct msg {
	unsigned status; /* 0: a request */
	enum msg_method method; /* a response's from its CSeq */
	struct sv via[MSG_LINES_MAX], record_route[MSG_LINES_MAX]; /* whole lines with their CRLF */
	unsigned n_via, n_record_route;
	struct sv from, to, call_id, cseq; /* whole lines */
	struct sv contact; /* the URI, without brackets */
};

/* False when it is not a SIP message with all it needs. */
bool msg_scan(struct msg *m, struct sv bytes);
/* The value of `;name=` in a line (`name` written as ";tag="), or an empty one. */
struct sv msg_param(struct sv line, const char *name);
/* What follows "Name: ", without the CRLF. */
struct sv msg_value(struct sv line);
/* The Route headers of a dialog's caller: its Record-Route values from last to first (RFC 3261 §12.1.2). `first` is the
 * URI of the topmost, empty without routes. */
void msg_add_routes(struct text *t, const struct msg *m, struct sv *first);
/* Where a URI with a numeric IPv4 host points to; false for anything else. */
bool msg_uri_address(struct sv uri, struct sockaddr_in *out);

#endif
