/* dispatcher/history.c */
#include "dispatcher/history.h"
#include "dispatcher/state.h"
#include <math.h>

enum { BISECTIONS = 48, TAIL_SHARE = 10 };

static const double end_max_ms = 31 * 86400000.0; /* nothing is said beyond a month */

uint64_t span_from_ms(unsigned span)
{
	unsigned octave, step;

	if (span == 0)
		return 0;
	octave = (span - 1) >> SPAN_STEPS_LOG2;
	step = (span - 1) & ((1u << SPAN_STEPS_LOG2) - 1);
	return (UINT64_C(1) << (octave + SPAN_FLOOR_LOG2)) + ((uint64_t)step << (octave + SPAN_FLOOR_LOG2 - SPAN_STEPS_LOG2));
}

void dest_ended(struct pools *p, uint16_t slot, uint64_t ms)
{
	if (slot < POOL_DESTINATIONS_MAX)
		atomic_fetch_add_explicit(&p->ended[slot].n[span_of(ms)], 1, memory_order_relaxed);
}

void dest_add_spans(const struct pools *p, uint16_t slot, struct spans *to)
{
	for (unsigned i = 0; slot < POOL_DESTINATIONS_MAX && i < SPANS; i++)
		to->n[i] += atomic_load_explicit(&p->ended[slot].n[i], memory_order_relaxed);
}

void dest_fade(struct pools *p, uint16_t slot)
{
	struct spans now = { 0 };

	dest_add_spans(p, slot, &now);
	if (spans_sum(&now) < HISTORY_CALLS)
		return;
	for (unsigned i = 0; i < SPANS; i++)
		atomic_fetch_sub_explicit(&p->ended[slot].n[i], now.n[i] / 2, memory_order_relaxed);
}

uint64_t spans_sum(const struct spans *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SPANS; i++)
		sum += s->n[i];
	return sum;
}

/* How many calls last longer than a time. */
struct life {
	double left[SPANS + 1];  /* share, at the beginning of each span */
	double tail_ms;          /* beyond the longest known duration: the mean of what still follows */
};

/* The calls that are over make it fall; the present ones count as long as they have lasted, half of a span for the span they are in. */
static void life_table(struct life *l, const struct spans *ended, const struct spans *present)
{
	double at_risk = 0, deaths = 0, lived_ms = 0, all = (double)spans_sum(ended);
	double risk[SPANS];

	for (unsigned i = SPANS; i-- > 0;) {
		double width = (double)(span_from_ms(i + 1) - span_from_ms(i));

		risk[i] = at_risk + ended->n[i] + present->n[i] / 2.0;
		if (deaths < all / TAIL_SHARE) { /* the longest tenth: how long they lasted beyond its beginning */
			deaths += ended->n[i];
			lived_ms += deaths > 0 ? width * (at_risk + (ended->n[i] + present->n[i]) / 2.0) : 0;
		}
		at_risk += (double)ended->n[i] + present->n[i];
	}
	l->tail_ms = lived_ms / deaths;
	l->left[0] = 1;
	for (unsigned i = 0; i < SPANS; i++)
		l->left[i + 1] = ended->n[i] ? l->left[i] * (1 - ended->n[i] / risk[i]) : l->left[i];
}

/* The last span in which a call has ended. */
static unsigned last_span(const struct spans *ended)
{
	unsigned i = SPANS - 1;

	while (i && !ended->n[i])
		i--;
	return i;
}

/* Share of calls that last longer than `ms`. */
static double left_at(const struct life *l, unsigned last, double ms)
{
	double end_ms = (double)span_from_ms(last + 1), from_ms, to_ms;
	unsigned i;

	if (ms >= end_ms)
		return l->left[last + 1] * exp(-(ms - end_ms) / l->tail_ms);
	i = span_of((uint64_t)ms);
	from_ms = (double)span_from_ms(i);
	to_ms = (double)span_from_ms(i + 1);
	return l->left[i] + (l->left[i + 1] - l->left[i]) * (ms - from_ms) / (to_ms - from_ms);
}

/* The logarithm of the probability that all have ended in `ms`. */
static double log_all_ended(const struct life *l, unsigned last, const struct spans *present, double ms)
{
	double sum = 0;

	for (unsigned i = 0; i < SPANS; i++) {
		double age, now, then;

		if (!present->n[i])
			continue;
		age = (double)(span_from_ms(i) + span_from_ms(i + 1)) / 2;
		now = left_at(l, last, age);
		then = left_at(l, last, age + ms);
		if (now <= then)
			return -INFINITY; /* not one of them can have ended */
		sum += present->n[i] * log1p(-then / now);
	}
	return sum;
}

bool spans_end_ms(const struct spans *ended, const struct spans *present, uint64_t *in_ms)
{
	double low = 0, high = end_max_ms, half = log(0.5);
	unsigned last = last_span(ended);
	struct life l;

	if (!spans_sum(present)) {
		*in_ms = 0;
		return true;
	}
	if (spans_sum(ended) < HISTORY_CALLS_MIN)
		return false;
	life_table(&l, ended, present);
	for (unsigned i = 0; i < BISECTIONS; i++) {
		double middle = (low + high) / 2;

		if (log_all_ended(&l, last, present, middle) < half)
			low = middle;
		else
			high = middle;
	}
	*in_ms = (uint64_t)high;
	return true;
}
