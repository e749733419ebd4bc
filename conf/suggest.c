/* conf/suggest.c - what is said of a mistyped word: the nearest known one, or all there are. */
#include "conf/reader.h"

void known_init(struct known *k, struct sv word)
{
	*k = (struct known){ .names_len = 0 };
	nearest_init(&k->nearest, word);
}

void known_offer(struct known *k, struct sv name)
{
	char word[72];

	nearest_offer(&k->nearest, name);
	if (k->names_len < sizeof(k->names) - 1)
		k->names_len += (size_t)snprintf(k->names + k->names_len, sizeof(k->names) - k->names_len, "%s%s",
		                                 k->names_len ? ", " : "", printable(name, word));
}

const char *known_nearest(const struct known *k, char buf[256])
{
	char word[72];

	buf[0] = '\0';
	if (k->nearest.best.len)
		snprintf(buf, 256, "; did you mean `%s`?", printable(k->nearest.best, word));
	return buf;
}

const char *known_nearest_or_all(const struct known *k, char buf[256])
{
	known_nearest(k, buf);
	if (!buf[0] && k->names_len)
		snprintf(buf, 256, "; there is: %s%s", k->names, k->names_len < sizeof(k->names) ? "" : "...");
	return buf;
}
