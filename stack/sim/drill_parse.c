/* The packet-script engine: lines. Times, options, and which kind of event it is; what stands
 * behind is parsed by the file of its kind. Everything not understood is an error with line and
 * column. */
#include "sim/drill.h"

/* A time after '+' or nothing, into *ns. */
static bool parse_seconds(struct drill *d, uint64_t *ns)
{
	struct drill_pos pos = cur_pos(&d->c);

	if (!cur_seconds(&d->c, ns))
		return drill_error(d, pos, "a time in seconds is expected here", "", 0);
	if (*ns > DRILL_LIFE_NS)
		return drill_error(d, pos, "no script lasts longer than 30 days", "", 0);
	return true;
}

/* "~ END" or "... END" behind a time. */
static bool parse_end(struct drill *d, struct drill_event *e)
{
	struct drill_pos pos = cur_pos(&d->c);

	if (cur_take(&d->c, "..."))
		e->blocking = true;
	else if (cur_take(&d->c, "~"))
		e->range = true;
	else
		return true;
	cur_blanks(&d->c);
	if (cur_take(&d->c, "+") && e->when != WHEN_RELATIVE)
		return drill_error(d, pos, "one time is absolute, the other relative", "", 0);
	if (!parse_seconds(d, &e->end_ns))
		return false;
	if (e->end_ns < e->start_ns)
		return drill_error(d, pos, "this time range ends before it begins", "", 0);
	return true;
}

static bool parse_time(struct drill *d, struct drill_event *e)
{
	e->when = WHEN_ABSOLUTE;
	if (cur_take(&d->c, "*")) {
		e->when = WHEN_ANY;
		return true;
	}
	if (cur_take(&d->c, "+")) {
		e->when = WHEN_RELATIVE;
		cur_blanks(&d->c);
	}
	if (!parse_seconds(d, &e->start_ns))
		return false;
	e->end_ns = e->start_ns;
	cur_blanks(&d->c);
	return parse_end(d, e);
}

static bool parse_packet_event(struct drill *d, struct drill_event *e, bool inject)
{
	e->kind = inject ? EV_INJECT : EV_EXPECT;
	if (inject && (e->when == WHEN_ANY || e->range))
		return drill_error(d, e->pos, "an injected packet needs an exact time", "", 0);
	if (e->blocking)
		return drill_error(d, e->pos, "only a call can block", "", 0);
	e->pkt = drill_alloc(d, sizeof(*e->pkt));
	if (!e->pkt)
		return false;
	e->pkt->inject = inject;
	return drill_parse_pkt(d, e->pkt);
}

static bool parse_action(struct drill *d, struct drill_event *e)
{
	cur_blanks(&d->c);
	if (cur_take(&d->c, "<"))
		return parse_packet_event(d, e, true);
	if (cur_take(&d->c, ">"))
		return parse_packet_event(d, e, false);
	if (e->range)
		return drill_error(d, e->pos,
			"only what is expected has a range of times; "
			"a call that blocks takes '...'",
			"", 0);
	if (e->when == WHEN_ANY)
		return drill_error(d, e->pos, "only what is expected may come at any time", "", 0);
	if (cur_take(&d->c, "%{")) {
		e->kind = EV_CODE;
		if (e->blocking)
			return drill_error(d, e->pos, "only a call can block", "", 0);
		return drill_parse_code(d, &e->code);
	}
	if (!cur_at_word(&d->c))
		return drill_error_at(d, "expected '<', '>', a call, `commands` or %%{ code }%%");
	e->kind = EV_CALL;
	e->call = drill_alloc(d, sizeof(*e->call));
	return e->call && drill_parse_call(d, e->call);
}

static struct drill_event *new_event(struct drill *d)
{
	struct drill_event *e = drill_alloc(d, sizeof(*e));

	if (e)
		e->pos = cur_pos(&d->c);
	return e;
}

static void add_event(struct drill *d, struct drill_event *e)
{
	*d->tail = e;
	d->tail = &e->next;
}

/* Blanks and perhaps a comment, then the end of the line. */
static bool end_of_directive(struct drill *d)
{
	struct cursor behind;

	cur_blanks(&d->c);
	behind = d->c; /* the comment is not taken here */
	if (cur_peek(&d->c) == '\n' || cur_peek(&d->c) == 0 || cur_peek(&d->c) == '#' ||
		cur_take(&behind, "//"))
		return true;
	return drill_error_at(d, "the directive should end here");
}

/* Behind "//@". */
static bool parse_directive(struct drill *d)
{
	struct drill_pos pos;
	struct drill_event *e;
	const char *w;
	uint32_t n;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	n = cur_word(&d->c, &w);
	cur_blanks(&d->c);
	if (word_is(w, n, "config")) {
		if (d->first)
			return drill_error(d, pos, "settings stand before the first event", "", 0);
		return drill_parse_config(d) && end_of_directive(d);
	}
	e = new_event(d);
	if (!e)
		return false;
	e->pos = pos;
	e->kind = EV_CHECK;
	e->check = drill_alloc(d, sizeof(*e->check));
	if (!e->check || !drill_parse_check(d, w, n, e->check) || !end_of_directive(d))
		return false;
	add_event(d, e);
	return true;
}

static bool parse_option(struct drill *d)
{
	if (d->first)
		return drill_error_at(d, "options stand before the first event");
	return drill_parse_option(d);
}

/* A `command` without a time: before the first event, or behind the last one, where packetdrill
 * cleans up. */
static bool parse_bare_command(struct drill *d)
{
	struct drill_pos pos = cur_pos(&d->c);

	if (!drill_parse_command(d, !d->first))
		return false;
	if (!d->first || d->o.skip_commands)
		return true;
	if (!cur_space(d))
		return false;
	return d->c.at == d->c.end
		       ? true
		       : drill_error(d, pos, "settings stand before the first event", "", 0);
}

/* "0 `command`": at this time nothing can be set any more, unless nothing has happened. */
static bool parse_timed_command(struct drill *d, const struct drill_event *e)
{
	if (e->when == WHEN_ANY || e->range || e->blocking)
		return drill_error(d, e->pos, "a command needs an exact time", "", 0);
	if (d->first && !d->o.skip_commands)
		return drill_error(d, e->pos, "settings stand before the first event", "", 0);
	return drill_parse_command(d, !d->first);
}

static bool parse_event(struct drill *d)
{
	struct drill_event *e = new_event(d);

	if (!e || !parse_time(d, e))
		return false;
	cur_blanks(&d->c);
	if (cur_take(&d->c, "`"))
		return parse_timed_command(d, e);
	if (!parse_action(d, e))
		return false;
	add_event(d, e);
	return true;
}

bool drill_parse(struct drill *d)
{
	while (cur_space(d)) {
		bool good;

		if (d->c.at == d->c.end)
			return d->first ? true : drill_error_at(d, "the script is empty");
		if (cur_take(&d->c, "//@"))
			good = parse_directive(d);
		else if (d->c.end - d->c.at > 1 && d->c.at[0] == '-' && d->c.at[1] == '-')
			good = parse_option(d);
		else if (cur_take(&d->c, "`"))
			good = parse_bare_command(d);
		else
			good = parse_event(d);
		if (!good)
			return false;
	}
	return false;
}
