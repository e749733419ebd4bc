#include "nat/ping.h"
#include "sip/out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FORM_MAX = PING_MAX - PING_URI_MAX - 2 * PING_NAME_MAX - 64, /* so that every ping has room */
};

static uint16_t part_end(struct out *o, const char **begin)
{
	uint16_t len = (uint16_t)(o->at - *begin);

	*begin = o->at;
	return len;
}

int ping_form_init(struct ping_form *f, struct sv advertise)
{
	struct ping_form form;
	char area[FORM_MAX];
	const char *begin = area;
	struct out o;

	out_init(&o, area, sizeof(area));
	out_lit(&o, " SIP/2.0\r\nVia: SIP/2.0/UDP ");
	out_sv(&o, advertise);
	out_lit(&o, ";branch=z9hG4bK");
	form.via_len = part_end(&o, &begin);
	out_lit(&o, "\r\nMax-Forwards: 70\r\nFrom: <sip:ping@");
	out_sv(&o, advertise);
	out_lit(&o, ">;tag=ping\r\nTo: <sip:ping@");
	out_sv(&o, advertise);
	out_lit(&o, ">\r\nCall-ID: ");
	form.middle_len = part_end(&o, &begin);
	out_lit(&o, "\r\nCSeq: ");
	form.cseq_len = part_end(&o, &begin);
	out_lit(&o, " OPTIONS\r\nContact: <sip:");
	out_sv(&o, advertise);
	out_lit(&o, ">\r\nContent-Length: 0\r\n\r\n");
	form.end_len = part_end(&o, &begin);
	if (o.is_full)
		return -EMSGSIZE;
	if (!(form.text = malloc(out_done(&o).len)))
		return -ENOMEM;
	memcpy(form.text, area, out_done(&o).len);
	*f = form;
	return 0;
}

void ping_form_fini(struct ping_form *f)
{
	free(f->text);
	*f = (struct ping_form){ 0 };
}

static void write_uri(struct out *o, struct sv target, const struct addr *remote)
{
	char text[ADDR_TEXT];

	if (target.len && target.len <= PING_URI_MAX) {
		out_sv(o, target);
		return;
	}
	out_lit(o, "sip:");
	out_str(o, addr_print(remote, text));
}

static void write_number(struct out *o, uint32_t number)
{
	out_u64(o, number & INT32_MAX); /* a CSeq is less than 2^31 (RFC 3261 §8.1.1.5) */
}

size_t ping_write(const struct ping_form *f, struct sv target, const struct addr *remote, struct sv name, uint32_t number,
                  char out[PING_MAX])
{
	const char *part = f->text;
	struct out o;

	out_init(&o, out, PING_MAX);
	out_lit(&o, "OPTIONS ");
	write_uri(&o, target, remote);
	out_sv(&o, (struct sv){ part, f->via_len });
	out_sv(&o, name);
	write_number(&o, number);
	part += f->via_len;
	out_sv(&o, (struct sv){ part, f->middle_len });
	out_sv(&o, name);
	part += f->middle_len;
	out_sv(&o, (struct sv){ part, f->cseq_len });
	write_number(&o, number);
	part += f->cseq_len;
	out_sv(&o, (struct sv){ part, f->end_len });
	return out_done(&o).len;
}
