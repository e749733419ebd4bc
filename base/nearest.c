#include "base/nearest.h"

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance with two neighbours swapped as one edit. Words longer than NEAREST_WORD_MAX are far from everything. */
static unsigned distance(struct sv a, struct sv b)
{
	unsigned row[3][NEAREST_WORD_MAX + 1];

	if (a.len > NEAREST_WORD_MAX || b.len > NEAREST_WORD_MAX)
		return UINT32_MAX;
	for (unsigned j = 0; j <= b.len; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a.p[i - 1] != b.p[j - 1]));
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return row[a.len % 3][b.len];
}

/* A third of the word may differ; in a word of one or two letters nothing is near. */
void nearest_init(struct nearest *n, struct sv word)
{
	unsigned differ = word.len < 3 ? 0 : word.len < 6 ? 1 : word.len <= NEAREST_WORD_MAX ? (unsigned)word.len / 3 : 0;

	*n = (struct nearest){ .word = word, .distance = differ + 1 };
}

void nearest_offer(struct nearest *n, struct sv known)
{
	unsigned d = distance(n->word, known);

	if (d >= n->distance)
		return;
	n->distance = d;
	n->best = known;
}
