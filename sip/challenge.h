/* sip/challenge.h - digest access authentication as a client sees it (RFC 3261 §22, RFC 7616, RFC 8760): the challenge that can be
 * answered, and the credentials that answer it. */
#ifndef SIP_CHALLENGE_H
#define SIP_CHALLENGE_H
#include "sip/digest.h"
#include "sip/out.h"
#include "sip/view.h"

enum challenge_limits {
	CHALLENGE_PARAMS_MAX = 32, /* in one header */
	CHALLENGE_VALUE_MAX = 1024, /* bytes of a nonce, an opaque, a realm */
	CHALLENGE_HEADERS_MAX = 8, /* of one response that are looked at */
	CHALLENGE_TRIES_MAX = 2, /* answers in a row to one who asks again */
	CHALLENGE_ANSWER_MAX = 4096, /* bytes of our line */
	CHALLENGE_CNONCE_LEN = 17, /* one digit says which try it is, then 16 that nobody can foretell */
};

/* The slices point into the response, as between the quotes, escapes kept. */
struct challenge {
	struct sv realm, nonce, opaque;
	enum digest_algorithm algorithm;
	bool is_proxy; /* 407: Proxy-Authorization answers it, else Authorization */
	bool is_stale; /* only the nonce of the last answer was not good any more */
	bool has_qop; /* `auth` is offered */
};

/* Of the 401 or 407 `v`, the first challenge for this realm that we can answer (the server's order is its preference, RFC 7616 §3.7). 0,
 * or -ENOENT: there is none. */
int challenge_find(struct challenge *out, const struct view *v, struct sv realm);
/* Which try may answer `c` after `request` was refused with it: 1 or 2; 0: none any more, nor where what it carries cannot be read. A
 * second one needs stale=true: who did not take our credentials once will not take them the next time. Nothing is kept for that: the
 * cnonce in `request` says which try it is (without qop there is none, and no second try). */
unsigned challenge_try(const struct challenge *c, const struct view *request, struct sv user);
/* Who we are. */
struct challenge_self {
	struct sv user, password;
	uint64_t random; /* new for each answer */
};
/* The whole line that answers `c` for this request of ours. 0, or -EIO. */
int challenge_answer(struct digester *d, const struct challenge *c, const struct challenge_self *self, const struct view *request,
                     unsigned try, struct out *o);
/* The line's header. */
enum hdr_id challenge_header(const struct challenge *c);

#endif
