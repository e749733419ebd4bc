/* sip/again.c - a request of ours that was refused in a way that can be helped: the same once more. */
#include "sip/header.h"
#include "sip/txn.h"

/* The topmost Via with another branch behind the cookie. */
static void out_via(struct out *o, const struct view *v, struct sv value, struct sv branch)
{
	struct sv old = sv_skip(view_via_branch(v), sizeof("z9hG4bK") - 1);

	out_sv(o, sv_span(value.p, old.p));
	out_sv(o, branch);
	out_sv(o, sv_span(old.p + old.len, value.p + value.len));
}

static void out_header(struct out *o, const struct view *v, const struct hdr *h, struct sv branch, uint32_t cseq)
{
	out_sv(o, hdr_name(v, h));
	out_lit(o, ": ");
	if (h == view_first(v, HDR_VIA)) {
		out_via(o, v, hdr_value(v, h), branch);
	} else if (h->id == HDR_CSEQ) {
		out_u64(o, cseq);
		out_lit(o, " ");
		out_sv(o, view_method(v));
	} else {
		out_sv(o, hdr_value(v, h));
	}
	out_lit(o, "\r\n");
}

struct buf *sip_request_again(struct sip_stack *s, const struct buf *request, struct sv branch, uint32_t cseq, enum hdr_id instead,
                              struct sv line)
{
	struct view_fault fault;
	struct view v;
	struct out o;

	if (view_scan(&v, request->data, request->len, false, &fault) || v.status)
		return NULL;
	out_init(&o, s->scratch, SIP_SCRATCH);
	out_sv(&o, view_method(&v));
	out_lit(&o, " ");
	out_sv(&o, view_uri(&v));
	out_lit(&o, " SIP/2.0\r\n");
	for (unsigned i = 0; i < v.n; i++) {
		if (v.h[i].id == HDR_CONTENT_LENGTH) /* the last one of ours */
			out_sv(&o, line);
		if (v.h[i].id != instead)
			out_header(&o, &v, &v.h[i], branch, cseq);
	}
	out_lit(&o, "\r\n");
	out_sv(&o, view_body(&v));
	return o.is_full ? NULL : buf_copy_in(s->bufs, out_done(&o));
}
