/* registrar/answer.c - what a 200 to REGISTER says (RFC 3261 §10.3 step 8). */
#include "registrar/inside.h"
#include "registrar/register.h"
#include "sip/txn.h"

static void out_host(struct out *o, struct sv host)
{
	bool is_ip6 = sv_chr(host, ':') < host.len;

	out_sv(o, is_ip6 ? SV("[") : SV(""));
	out_sv(o, host);
	out_sv(o, is_ip6 ? SV("]") : SV(""));
}

/* RFC 5627 §5.2: the AOR with the instance as `gr`, and one that does not tell who is behind it. */
static void write_gruus(const struct register_answer *a, const struct binding *b, struct out *o)
{
	struct sv instance = binding_instance(b), host = registration_host(b->aor);
	char token[64];
	size_t n;

	instance = sv_trim((struct sv){ instance.p + 1, instance.len - 2 });
	if (instance.len > 2 && instance.p[0] == '<' && instance.p[instance.len - 1] == '>')
		instance = (struct sv){ instance.p + 1, instance.len - 2 };
	if (!uri_param_is_plain(instance))
		return;
	out_lit(o, ";pub-gruu=\"sip:");
	out_uri_user(o, registration_user(b->aor));
	out_lit(o, "@");
	out_host(o, host);
	out_lit(o, ";gr=");
	out_sv(o, instance);
	out_lit(o, "\"");
	if (!a->temp_gruu || !(n = a->temp_gruu(a->ctx, b, token)))
		return;
	out_lit(o, ";temp-gruu=\"sip:");
	out_sv(o, (struct sv){ token, n });
	out_lit(o, "@");
	out_host(o, host);
	out_lit(o, ";gr\"");
}

static void write_q(uint16_t q, struct out *o)
{
	const char digits[] = { ';', 'q', '=', (char)('0' + q / 1000), '.', (char)('0' + q / 100 % 10), (char)('0' + q / 10 % 10),
		                (char)('0' + q % 10) };

	out_sv(o, (struct sv){ digits, sizeof(digits) });
}

static void write_contact(const struct registrar *r, const struct register_answer *a, const struct binding *b, bool has_gruu,
                          struct out *o)
{
	uint64_t now = r->p.wheel->now_ms;
	struct sv more = SV("");

	if (a->passed && !a->passed(a->ctx, b, &more))
		return;
	out_lit(o, "Contact: <");
	out_sv(o, binding_contact(b));
	out_lit(o, ">");
	out_sv(o, binding_params(b));
	if (b->has_q)
		write_q(b->q, o);
	out_lit(o, ";expires=");
	out_u64(o, b->expires_ms > now ? (b->expires_ms - now + 999) / 1000 : 0);
	if (has_gruu && !a->passed && b->instance_len > 2)
		write_gruus(a, b, o);
	out_sv(o, more);
	out_lit(o, "\r\n");
}

/* RFC 3327 §5.3: as it came, if the client knows what it is. */
static void write_path(const struct view *v, struct out *o)
{
	for (const struct hdr *h = view_find(v, HDR_PATH, 0); h; h = view_find(v, HDR_PATH, (unsigned)(h - v->h) + 1)) {
		out_lit(o, "Path: ");
		out_value(o, v, hdr_value(v, h));
		out_lit(o, "\r\n");
	}
}

void register_answer_write(struct registrar *r, const struct register_answer *a, struct out *o)
{
	const struct register_request *q = a->request;
	const struct registration *aor = registrar_find(r, q->aor_key);
	bool has_gruu = has_option(q->v, HDR_SUPPORTED, SV("gruu"));

	for (const struct binding *b = NULL; aor && (b = registration_next(aor, b));)
		if (!a->is_shown || a->is_shown(a->ctx, q, b))
			write_contact(r, a, b, has_gruu, o);
	if (has_option(q->v, HDR_SUPPORTED, SV("path")))
		write_path(q->v, o);
	if (a->done.is_outbound)
		out_lit(o, "Require: outbound\r\n");
	if (a->done.is_outbound && q->domain->flow_timer_ms && transport_is_stream(q->from->transport)) {
		out_lit(o, "Flow-Timer: ");
		out_u64(o, q->domain->flow_timer_ms / 1000);
		out_lit(o, "\r\n");
	}
	if (!a->passed)
		out_lit(o, "Supported: path, outbound, gruu\r\n");
}
