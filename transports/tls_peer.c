/* transports/tls_peer.c - whom a certificate is for (RFC 5922 §7). */
#include "base/addr.h"
#include "transports/tls_inside.h"

static struct sv text_of(const ASN1_STRING *s)
{
	return (struct sv){ (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
}

/* Letters, digits, hyphens and underscores in labels: a NUL or a space in it would mean different things to different readers. */
static bool is_name(struct sv v)
{
	size_t label = 0;

	if (!v.len || v.len > TLS_NAME_MAX)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		char c = v.p[i] | 0x20;

		label = v.p[i] == '.' ? 0 : label + 1;
		if (label > 63 || (v.p[i] == '.' && (i == 0 || v.p[i - 1] == '.')))
			return false;
		if (!((c >= 'a' && c <= 'z') || (v.p[i] >= '0' && v.p[i] <= '9') || v.p[i] == '-' || v.p[i] == '_' || v.p[i] == '.' ||
		      v.p[i] == '*'))
			return false;
	}
	return true;
}

/* "sip:example.com"; sips: is no identity (§7.1), nor is what has a user: it names a person. An @ or a NUL anywhere in it would let one
 * reader see another host than the next. */
static struct sv domain_of(struct sv uri)
{
	struct sv rest = sv_skip(uri, 4);
	size_t end;

	if (uri.len < 4 || !sv_ieq((struct sv){ uri.p, 4 }, SV("sip:")) || memchr(uri.p, '@', uri.len) || memchr(uri.p, '\0', uri.len))
		return (struct sv){ 0 };
	for (end = 0; end < rest.len && !strchr(":;?", rest.p[end]); end++)
		;
	return (struct sv){ rest.p, end };
}

static struct sv identity_of(const GENERAL_NAME *n, int type)
{
	if (n->type != type)
		return (struct sv){ 0 };
	return type == GEN_URI ? domain_of(text_of(n->d.uniformResourceIdentifier)) : text_of(n->d.dNSName);
}

struct taking {
	bool (*take)(void *ctx, struct sv name);
	void *ctx;
	unsigned n;
	bool goes_on;
};

static void offer(struct taking *t, struct sv name)
{
	if (!t->goes_on || !is_name(name))
		return;
	t->n++;
	t->goes_on = t->take(t->ctx, name);
}

static void offer_all(struct taking *t, const GENERAL_NAMES *names, int type)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && t->goes_on; i++)
		offer(t, identity_of(sk_GENERAL_NAME_value(names, i), type));
}

static void offer_common_name(struct taking *t, X509 *leaf)
{
	X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at >= 0)
		offer(t, text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
}

void tls_identities(X509 *leaf, bool (*take)(void *ctx, struct sv name), void *ctx)
{
	struct taking t = { .take = take, .ctx = ctx, .goes_on = true };
	int critical;
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);

	if (names) {
		offer_all(&t, names, GEN_URI);
		if (!t.n)
			offer_all(&t, names, GEN_DNS);
	} else if (critical == -1) { /* there is none, rather than one that cannot be read */
		offer_common_name(&t, leaf);
	}
	GENERAL_NAMES_free(names);
}

static struct sv without_dot(struct sv v)
{
	return (struct sv){ v.p, v.len && v.p[v.len - 1] == '.' ? v.len - 1 : v.len };
}

struct asking {
	struct sv name;
	bool is_it;
};

static bool compare(void *ctx, struct sv name)
{
	struct asking *a = ctx;

	a->is_it = sv_ieq(without_dot(name), a->name);
	return !a->is_it;
}

bool tls_identifies(X509 *leaf, struct sv name)
{
	struct asking a = { .name = without_dot(name) };
	struct addr addr;

	if (addr_parse(&addr, name) == 0)
		return X509_check_ip(leaf, addr.ip, addr.family == 4 ? 4 : 16, 0) == 1;
	tls_identities(leaf, compare, &a);
	return a.is_it;
}

bool tls_serves(const char *pattern, struct sv name)
{
	struct sv p = without_dot(sv_from(pattern));

	name = without_dot(name);
	if (p.len < 3 || p.p[0] != '*' || p.p[1] != '.')
		return sv_ieq(p, name);
	return sv_chr(name, '.') > 0 && sv_ieq(sv_skip(p, 1), sv_skip(name, sv_chr(name, '.')));
}
