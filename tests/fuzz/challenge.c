/* Challenges of a hostile carrier: what is found lies in the message and in its bounds, and the answer is a line that a server can read,
 * which says who we are and nothing else of ours. */
#include "registrar/digest.h"
#include "sip/challenge.h"
#include "sip/header.h"
#include "transports/net.h"
#include <stdio.h>
#include <stdlib.h>

static const char request[] =
	"INVITE sip:+49176@carrier.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n"
	"To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n%sContent-Length: 0\r\n\r\n";
static const char response[] =
	"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=2\r\nCall-ID: x\r\n"
	"CSeq: 1 INVITE\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=none\r\nWWW-Authenticate: ";
static const char end[] = "\r\nContent-Length: 0\r\n\r\n";

static bool scan(struct view *v, char *bytes, size_t len)
{
	struct view_fault fault;

	memset(bytes + len, 0, BUF_PAD);
	return view_scan(v, bytes, len, false, &fault) == 0;
}

static void must_lie_in(struct sv part, const struct view *v)
{
	if (part.p && (part.p < v->base || part.p + part.len > v->base + v->len || part.len > CHALLENGE_VALUE_MAX))
		abort();
}

/* What stands in the next request; the one it is in may be refused once more only if the nonce was stale. */
static void check_line(const struct challenge *c, struct sv line)
{
	static char bytes[16384];
	struct digest_credentials read;
	struct view v;
	int n = snprintf(bytes, sizeof(bytes) - BUF_PAD, request, "");
	size_t head;

	n = snprintf(bytes, sizeof(bytes) - BUF_PAD, request, line.p);
	if (n < 0 || (size_t)n >= sizeof(bytes) - BUF_PAD || !scan(&v, bytes, (size_t)n))
		abort();
	head = v.first[HDR_CONTENT_LENGTH];
	if (head != v.n || !view_find(&v, challenge_header(c), 0)) /* one line more, and no other */
		abort();
	if (digest_parse(&read, hdr_value(&v, view_find(&v, challenge_header(c), 0))) || !sv_eq(digest_user(&read), SV("me")) ||
	    !sv_eq(read.realm, SV("carrier.example")) || read.is_complete != c->has_qop)
		abort();
	if (challenge_try(c, &v, SV("me")) != (c->is_stale && c->has_qop ? 2 : 0) || challenge_try(c, &v, SV("you")) != 1)
		abort();
}

static void check_answer(const struct challenge *c)
{
	const struct challenge_self self = { .user = SV("me"), .password = SV("sesame"), .random = 1 };
	static char area[CHALLENGE_ANSWER_MAX + 1], bytes[1024];
	struct digester *d = NULL;
	struct view v;
	struct out o;

	if (digester_new(&d) || !scan(&v, bytes, (size_t)snprintf(bytes, sizeof(bytes) - BUF_PAD, request, "")))
		abort();
	if (challenge_try(c, &v, self.user) != 1)
		abort();
	out_init(&o, area, sizeof(area) - 1);
	if (challenge_answer(d, c, &self, &v, 1, &o))
		abort();
	*o.at = '\0';
	if (!o.is_full && !memchr(area, '\0', (size_t)(o.at - area)))
		check_line(c, out_done(&o));
	digester_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = sizeof(response) - 1 + size + sizeof(end) - 1;
	char *bytes = len <= NET_MESSAGE_MAX ? malloc(len + BUF_PAD) : NULL;
	struct challenge c;
	struct view v;

	if (!bytes)
		return 0;
	memcpy(bytes, response, sizeof(response) - 1);
	if (size)
		memcpy(bytes + sizeof(response) - 1, data, size);
	memcpy(bytes + sizeof(response) - 1 + size, end, sizeof(end) - 1);
	if (scan(&v, bytes, len) && challenge_find(&c, &v, SV("carrier.example")) == 0) {
		must_lie_in(c.realm, &v);
		must_lie_in(c.nonce, &v);
		must_lie_in(c.opaque, &v);
		if (c.algorithm >= DIGEST_ALGORITHMS || !c.nonce.len || c.is_proxy)
			abort();
		check_answer(&c);
	}
	free(bytes);
	return 0;
}
