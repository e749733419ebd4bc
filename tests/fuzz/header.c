/* Fuzz: every function of sip/header.h on arbitrary bytes; slices stay inside, loops end, what is accepted can be read
 * again. An exact copy is used, so that ASan sees a read beyond it. */
#include "sip/header.h"
#include "sip/view.h"
#include <errno.h>
#include <sofia-sip/sdp.h>
#include <sofia-sip/url.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* No slice, or one inside of `whole`. */
static void must_lie_inside(struct sv whole, struct sv s)
{
	must(!s.p || (s.p >= whole.p && s.p + s.len <= whole.p + whole.len));
}

static void try_params(struct sv in, struct sv params)
{
	struct sv name, value, rest = params;

	while (param_next(&rest, &name, &value)) {
		must(name.len != 0);
		must_lie_inside(in, name);
		must_lie_inside(in, value);
		must(param_find(params, name, &value));
	}
}

/* sofia-sip as a second opinion: what we take for a sip URI, it does too, with the same user and port in it. */
static void ask_sofia(const struct uri *u, struct sv in)
{
	char *copy = malloc(in.len + 1); /* no strndup: a strict sanitizer wants its source to end in NUL */
	url_t theirs;

	if (copy) {
		memcpy(copy, in.p, in.len);
		copy[in.len] = '\0';
		must(url_d(&theirs, copy) == 0);
		must((theirs.url_user != NULL) == (u->user.len != 0));
		must((theirs.url_headers != NULL) == (u->headers.len != 0));
		must(u->port == (theirs.url_port ? atoi(theirs.url_port) : 0));
	}
	free(copy);
}

static void try_uri(struct sv in, struct arena *a)
{
	struct uri u;

	if (uri_parse(&u, in))
		return;
	must_lie_inside(in, u.scheme_text);
	must_lie_inside(in, u.user);
	must_lie_inside(in, u.password);
	must_lie_inside(in, u.host);
	must_lie_inside(in, u.params);
	must_lie_inside(in, u.headers);
	must_lie_inside(in, u.opaque);
	must((u.scheme == URI_SIP || u.scheme == URI_SIPS) == (u.host.len != 0));
	if (u.host.len)
		ask_sofia(&u, in);
	uri_transport(&u);
	try_params(in, u.params);
	must(unescape(a, u.user).len <= u.user.len);
}

static void try_name_addrs(struct sv in, struct arena *a)
{
	struct sv rest = in;
	struct name_addr n;

	while (name_addr_next(&n, &rest) == 0) {
		must_lie_inside(in, n.display);
		must_lie_inside(in, n.uri);
		must_lie_inside(in, n.params);
		must_lie_inside(in, n.whole);
		must(n.is_star || n.uri.len != 0);
		must(name_addr_parse(&n, n.whole) == 0);
		try_params(in, n.params);
		try_uri(n.uri, a);
	}
	must_lie_inside(in, tag_of(in));
	if (name_addr_parse(&n, in) == 0) {
		struct sv tag = tag_of(in), again;

		must(param_find(n.params, SV("tag"), &again) == (tag.p != NULL));
		must(!tag.p || sv_eq(tag, again));
	}
}

static void try_vias(struct sv in)
{
	struct sv rest = in;
	struct via v;

	while (via_next(&v, &rest) == 0) {
		must(v.host.len != 0 && v.transport_text.len != 0);
		must_lie_inside(in, v.whole);
		must_lie_inside(in, v.params);
		must_lie_inside(in, v.branch);
		must_lie_inside(in, v.received);
		must_lie_inside(in, v.rport);
		try_params(in, v.params);
	}
}

static void try_rest(struct sv in, struct arena *a)
{
	struct sv rest = in, one, method;
	struct dialog_ref ref;
	uint32_t rseq, cseq;

	while (list_next(&one, &rest)) {
		must(one.len != 0);
		must_lie_inside(in, one);
	}
	if (dialog_ref_parse(a, &ref, in) == 0)
		must(ref.call_id.len && ref.to_tag.len && ref.from_tag.len);
	if (rack_parse(in, &rseq, &cseq, &method) == 0)
		must(method.len != 0 && cseq <= INT32_MAX);
	try_params(in, in);
}

/* What sdp_is_safe() lets through must not send sofia-sip's parser astray: libFuzzer watches time and memory. */
static void try_sdp(struct sv in)
{
	su_home_t *home;
	sdp_parser_t *parser;

	if (!sdp_is_safe(in))
		return;
	home = su_home_new(sizeof(*home));
	parser = sdp_parse(home, in.p, (issize_t)in.len, 0);
	sdp_session(parser);
	sdp_parser_free(parser);
	su_home_unref(home);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv in = { (const char *)data, size };
	struct arena a;

	arena_init(&a, NULL, 0, 1 << 20);
	try_uri(in, &a);
	try_name_addrs(in, &a);
	try_vias(in);
	try_rest(in, &a);
	try_sdp(in);
	arena_reset(&a);
	return 0;
}
