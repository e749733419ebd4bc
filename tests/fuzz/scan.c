/* Fuzz: the fast scanner and the plain one say the same about every input, and every slice lies inside the message. The
 * first byte chooses stream or datagram. */
#include "base/buf.h"
#include "sip/header.h"
#include "sip/view.h"
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct view fast, plain;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void must_lie_inside(const struct view *v, struct sv s)
{
	must(s.p >= v->base && s.p + s.len <= v->base + v->len);
}

static void walk(const struct view *v)
{
	struct sv rest, one;

	must_lie_inside(v, view_uri(v));
	must_lie_inside(v, view_method(v));
	must_lie_inside(v, view_body(v));
	must_lie_inside(v, view_sv(v, v->phrase, v->phrase_len));
	must(v->n <= VIEW_HEADERS_MAX);
	for (unsigned i = 0; i < v->n; i++) {
		const struct hdr *h = &v->h[i];

		must_lie_inside(v, hdr_name(v, h));
		must_lie_inside(v, hdr_value(v, h));
		must(h->id == hdr_id_parse(hdr_name(v, h)));
		must(view_find(v, h->id, i) == h);
		must(view_find_name(v, hdr_name(v, h), i) == h);
		rest = hdr_value(v, h);
		while (list_next(&one, &rest))
			must_lie_inside(v, one);
	}
	for (unsigned id = 1; id < HDR_HOT; id++)
		must(view_first(v, (enum hdr_id)id) == view_find(v, (enum hdr_id)id, 0));
}

/* What a good message promises to those who use it. */
static void check_promises(const struct view *v)
{
	struct name_addr from, to;
	struct sv list = view_value(v, HDR_VIA);
	struct via via;

	must(via_next(&via, &list) == 0 && via.host.len != 0);
	must(sv_eq(view_via_host(v), via.host) && v->via_port == via.port && sv_eq(view_via_branch(v), via.branch));
	must(sv_eq(view_from_tag(v), tag_of(view_value(v, HDR_FROM))) && sv_eq(view_to_tag(v), tag_of(view_value(v, HDR_TO))));
	must(name_addr_parse(&from, view_value(v, HDR_FROM)) == 0);
	must(name_addr_parse(&to, view_value(v, HDR_TO)) == 0);
	must(view_value(v, HDR_CALL_ID).len != 0 && v->cseq <= INT32_MAX && v->method_len != 0);
	must(v->status ? v->status >= 100 && v->status < 700 : v->uri_len != 0);
	must(v->method == method_parse(view_method(v)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view_fault fault = { 0 }, other = { 0 };
	bool is_stream = size && data[0] & 1;
	struct buf *b = buf_copy((struct sv){ (const char *)data + !!size, size - !!size });
	int err;

	if (!b)
		return 0;
	err = view_scan(&fast, b->data, b->len, is_stream, &fault);
	must(err == view_scan_plain(&plain, b->data, b->len, is_stream, &other));
	must(fault.status == other.status && fault.reason == other.reason);
	must(fault.is_answerable == other.is_answerable);
	must(memcmp(&fast, &plain, offsetof(struct view, h)) == 0);
	must(memcmp(fast.h, plain.h, fast.n * sizeof(*fast.h)) == 0);
	if (err == -EAGAIN) {
		buf_put(b);
		return 0;
	}
	walk(&fast);
	if (!err)
		check_promises(&fast);
	buf_put(b);
	return 0;
}
