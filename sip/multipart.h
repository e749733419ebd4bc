/* sip/multipart.h - the parts of a multipart body (RFC 2046 §5.1, RFC 5621), found and not copied. */
#ifndef SIP_MULTIPART_H
#define SIP_MULTIPART_H
#include "base/sv.h"

enum { MULTIPART_BOUNDARY_MAX = 70, MULTIPART_PARTS_MAX = 64 };

struct multipart {
	struct sv boundary, rest;
	unsigned n;
	bool is_over;              /* the closing delimiter was seen: else the body was cut, or has too many parts */
};
struct part {
	struct sv headers;         /* lines without the empty one behind them, or empty */
	struct sv body;
	struct sv type;            /* Content-Type without parameters; empty: none */
	bool is_encoded;           /* it is not the bytes themselves (Content-Transfer-Encoding), or says its own length */
};

/* False: `type` is no multipart/ with a usable boundary. All slices point into the arguments. */
bool multipart_begin(struct multipart *m, struct sv type, struct sv body);
/* False at the end, or where it is cut: is_over tells. */
bool multipart_next(struct multipart *m, struct part *p);

#endif
