/* The comments of a packet script, which tell what its lines are for: the block that stands right
 * above a line, and what stands behind it. */
#include "sim/step_script.h"

struct reader {
	const char *at, *end; /* of the text */
	uint8_t *out;         /* where the next octet of a note goes */
	uint32_t from;        /* where the note in hand begins */
	bool in_block;        /* between the marks of a comment of several lines */
};

static uint32_t count_lines(const char *text, size_t n)
{
	uint32_t lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

size_t script_notes_room(const char *text, size_t n)
{
	size_t lines = count_lines(text, n);

	/* each octet at most once, and a '\n' behind each line's comment */
	return (lines + 1) * sizeof(struct script_note) + n + 2 * lines;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && is_blank(*at))
		at++;
	return at;
}

static bool starts(const char *at, const char *end, const char *mark)
{
	for (; *mark; mark++, at++)
		if (at >= end || *at != *mark)
			return false;
	return true;
}

/* A line of a comment, its mark taken off. */
static void add(struct reader *r, const char *at, const char *end)
{
	if (at < end && is_blank(*at))
		at++;
	while (end > at && is_blank(end[-1]))
		end--;
	memcpy(r->out, at, (size_t)(end - at));
	r->out += end - at;
	*r->out++ = '\n';
}

/* Behind the opening mark of a block comment, or on a line within one. */
static void add_block(struct reader *r, const char *at, const char *end)
{
	const char *close = at;

	while (close < end && !starts(close, end, "*/"))
		close++;
	r->in_block = close >= end;
	at = skip_blanks(at, close);
	if (at < close && *at == '*')
		at++;
	if (skip_blanks(at, close) < close)
		add(r, at, close);
}

/* Is the line a comment and nothing else? Then it is taken. */
static bool take_comment(struct reader *r, const char *at, const char *end)
{
	at = skip_blanks(at, end);
	if (r->in_block)
		add_block(r, at, end);
	else if (starts(at, end, "/*"))
		add_block(r, at + 2, end);
	else if (starts(at, end, "//") && !starts(at, end, "//@"))
		add(r, at + 2, end);
	else if (starts(at, end, "#"))
		add(r, at + 1, end);
	else
		return false;
	return true;
}

/* Where the comment behind a line begins; its end: there is none. */
static const char *comment_behind(const char *at, const char *end)
{
	bool quoted = false;

	at = skip_blanks(at, end);
	if (starts(at, end, "//@"))
		at += 3;
	for (; at < end; at++) {
		quoted ^= *at == '"';
		if (!quoted && (starts(at, end, "//") || *at == '#'))
			return at;
	}
	return end;
}

static const char *line_end(const char *at, const char *end)
{
	const char *nl = memchr(at, '\n', (size_t)(end - at));

	return nl ? nl : end;
}

/* Settings: lines that are no events. What stands above them is told with the first event. */
static bool is_setting(const char *at, const char *end)
{
	at = skip_blanks(at, end);
	if (starts(at, end, "//@"))
		return starts(skip_blanks(at + 3, end), end, "config");
	return starts(at, end, "--") || starts(at, end, "`");
}

static void read_line(struct script *x, struct reader *r, const char *end, struct script_note *n)
{
	const char *behind;

	if (skip_blanks(r->at, end) == end && !r->in_block) {
		r->from = (uint32_t)(r->out - x->notes); /* what stood above stands alone */
		return;
	}
	if (take_comment(r, r->at, end) || is_setting(r->at, end))
		return;
	behind = comment_behind(r->at, end);
	if (behind < end)
		add(r, behind + (*behind == '#' ? 1 : 2), end);
	n->off = r->from;
	n->bytes = (uint32_t)(r->out - x->notes) - r->from;
	r->from = (uint32_t)(r->out - x->notes);
}

void script_notes_read(struct script *x, const char *text, size_t n, uint8_t *mem)
{
	struct reader r = {.at = text, .end = text + n};

	x->n_lines = count_lines(text, n);
	x->line = (struct script_note *)(void *)mem;
	memset(x->line, 0, (x->n_lines + 1) * sizeof(*x->line));
	x->notes = r.out = mem + (x->n_lines + 1) * sizeof(*x->line);
	for (uint32_t i = 1; i <= x->n_lines; i++) {
		const char *end = line_end(r.at, r.end);

		read_line(x, &r, end, &x->line[i]);
		r.at = end < r.end ? end + 1 : end;
	}
}

void script_notes_tell(const struct script *x, uint32_t line, struct tg_step_event *ev)
{
	const char *at = x->d->text, *end = at + x->d->text_bytes, *stop;
	struct text t = text_in(ev->text, sizeof(ev->text));

	ev->line = line;
	for (uint32_t i = 1; i < line && at < end; i++)
		at = line_end(at, end) + (line_end(at, end) < end);
	stop = line_end(at, end);
	at = skip_blanks(at, stop);
	stop = comment_behind(at, stop);
	while (stop > at && is_blank(stop[-1]))
		stop--;
	text_add(&t, "%S", at, (uint32_t)(stop - at));
	if (!line || line > x->n_lines || !x->line[line].bytes)
		return;
	ev->note = (const char *)x->notes + x->line[line].off;
	ev->note_bytes = x->line[line].bytes;
}
