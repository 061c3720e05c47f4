/* Lines of input: with libedit on a terminal (editing, history in $HOME, completion of commands,
 * connections and variables), else plainly. */
#define _GNU_SOURCE 1
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "step_live.h"

#define HISTORY_FILE ".tapglass_step_history"
#define HISTORY_LEN  1000
#define IDLE_MS      20

struct line_input {
	struct repl *r;
	FILE *file;
	EditLine *edit; /* NULL: plain */
	History *history;
	HistEvent event;
	const char *prompt;
	char *path; /* of the history; NULL: none is kept */
	char *line;
	size_t room;
	char input[4096]; /* read from the file, not used yet */
	size_t input_at, input_n;
};

/* Waits for input, in which a live world goes on with what needs no user. */
static void wait_input(struct line_input *l)
{
	struct pollfd p = {.fd = fileno(l->file), .events = POLLIN};

	int n = 0;

	while (l->r->world == WORLD_LIVE && n == 0 && !run_ended(l->r)) {
		n = poll(&p, 1, IDLE_MS);
		if (n == 0) {
			live_look(l->r);
		}
	}
}

static char *prompt_text(EditLine *e)
{
	struct line_input *l;
	static char text[64];

	el_get(e, EL_CLIENTDATA, &l);
	snprintf(text, sizeof text, "%s", l->prompt);
	return text;
}

/* ---- Completion ------------------------------------------------------------------------------ */

struct found {
	const char *word;
	size_t n;
	char common[64];
	unsigned count;
};

static void offer(struct found *f, const char *name)
{
	size_t same = 0;

	if (strncmp(name, f->word, f->n) != 0) {
		return;
	}
	if (f->count++ == 0) {
		snprintf(f->common, sizeof f->common, "%s", name);
		return;
	}
	while (f->common[same] != '\0' && f->common[same] == name[same]) {
		same++;
	}
	f->common[same] = '\0';
}

static void offer_names(struct found *f, struct repl *r)
{
	const char *dot = memchr(f->word, '.', f->n);
	char text[64];

	for (unsigned i = 0; i < r->n_names; i++) {
		offer(f, r->name[i].name);
	}
	for (unsigned i = 0; i < TG_TCB_COUNT; i++) {
		offer(f, tg_tcb_name(i));
		if (dot != NULL) {
			snprintf(text, sizeof text, "%.*s.%s", (int)(dot - f->word), f->word,
				tg_tcb_name(i));
			offer(f, text);
		}
	}
	for (unsigned i = 0; i < TG_STATE_COUNT; i++) {
		offer(f, tg_state_name((enum tg_state)i));
	}
	for (unsigned i = 1; i < TG_DROP_COUNT; i++) {
		offer(f, tg_drop_name((enum tg_drop)i));
	}
}

static unsigned char complete(EditLine *e, int c)
{
	const LineInfo *li = el_line(e);
	const char *at = li->cursor;
	struct line_input *l;
	struct found f = {0};

	(void)c;
	el_get(e, EL_CLIENTDATA, &l);
	while (at > li->buffer && at[-1] != ' ') {
		at--;
	}
	f.word = at;
	f.n = (size_t)(li->cursor - at);
	for (unsigned i = 0; at == li->buffer && command_name(i) != NULL; i++) {
		offer(&f, command_name(i));
	}
	if (at > li->buffer) {
		offer_names(&f, l->r);
	}
	if (f.count == 0 || strlen(f.common) < f.n) {
		return CC_REFRESH_BEEP;
	}
	if (f.count == 1) {
		strncat(f.common, " ", sizeof f.common - strlen(f.common) - 1);
	}
	if (f.common[f.n] == '\0' || el_insertstr(e, f.common + f.n) < 0) {
		return CC_REFRESH_BEEP;
	}
	return CC_REFRESH;
}

/* ---- Input ----------------------------------------------------------------------------------- */

/* libedit's next character. */
static int edit_char(EditLine *e, wchar_t *out)
{
	struct line_input *l;
	mbstate_t state = {0};
	size_t n;
	char c;

	el_get(e, EL_CLIENTDATA, &l);
	do {
		wait_input(l);
		if (l->r->quit || read(fileno(l->file), &c, 1) != 1) {
			return 0;
		}
		n = mbrtowc(out, &c, 1, &state);
	} while (n == (size_t)-2);
	return n == (size_t)-1 ? -1 : 1;
}

static void edit_open(struct line_input *l)
{
	const char *home = getenv("HOME");

	setlocale(LC_CTYPE, "");
	l->edit = el_init("tapglass", stdin, stdout, stderr);
	l->history = history_init();
	if (l->edit == NULL || l->history == NULL) {
		return;
	}
	history(l->history, &l->event, H_SETSIZE, HISTORY_LEN);
	history(l->history, &l->event, H_SETUNIQUE, 1);
	el_set(l->edit, EL_CLIENTDATA, l);
	el_set(l->edit, EL_EDITOR, "emacs");
	el_set(l->edit, EL_PROMPT, prompt_text);
	el_set(l->edit, EL_SIGNAL, 1);
	el_set(l->edit, EL_HIST, history, l->history);
	el_set(l->edit, EL_ADDFN, "tapglass-complete", "completes a word", complete);
	el_set(l->edit, EL_BIND, "^I", "tapglass-complete", NULL);
	el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(l->edit, NULL);
	el_set(l->edit, EL_GETCFN, edit_char);
	if (home != NULL && asprintf(&l->path, "%s/" HISTORY_FILE, home) < 0) {
		l->path = NULL;
	}
	if (l->path != NULL) {
		history(l->history, &l->event, H_LOAD, l->path);
	}
}

struct line_input *line_open(struct repl *r, FILE *f)
{
	struct line_input *l = calloc(1, sizeof *l);

	if (l == NULL) {
		return NULL;
	}
	l->r = r;
	l->file = f;
	if (r->terminal && f == stdin) {
		edit_open(l);
	}
	return l;
}

static const char *edit_next(struct line_input *l)
{
	int n = 0;
	const char *got = el_gets(l->edit, &n);

	if (got == NULL || n <= 0) {
		putchar('\n');
		return NULL;
	}
	if ((size_t)n + 1 > l->room) {
		char *grown = realloc(l->line, (size_t)n + 1);

		if (grown == NULL) {
			return NULL;
		}
		l->line = grown;
		l->room = (size_t)n + 1;
	}
	memcpy(l->line, got, (size_t)n);
	l->line[n] = '\0';
	l->line[strcspn(l->line, "\n")] = '\0';
	if (l->line[strspn(l->line, " \t")] != '\0') {
		history(l->history, &l->event, H_ENTER, l->line);
	}
	return l->line;
}

/* The next character, or EOF. */
static int plain_char(struct line_input *l)
{
	ssize_t n;

	if (l->input_at == l->input_n) {
		wait_input(l);
		n = l->r->quit ? 0 : read(fileno(l->file), l->input, sizeof l->input);
		l->input_at = 0;
		l->input_n = n > 0 ? (size_t)n : 0;
	}
	return l->input_at < l->input_n ? (unsigned char)l->input[l->input_at++] : EOF;
}

static const char *plain_next(struct line_input *l)
{
	size_t n = 0;
	int c;

	while ((c = plain_char(l)) != EOF && c != '\n') {
		if (n + 2 > l->room) {
			char *grown = realloc(l->line, l->room + 256);

			if (grown == NULL) {
				return NULL;
			}
			l->line = grown;
			l->room += 256;
		}
		l->line[n++] = c ? (char)c : '\1'; /* refused like any control character */
	}
	if (c == EOF && n == 0) {
		return NULL;
	}
	if (n == 0) {
		return "";
	}
	l->line[n] = '\0';
	l->line[strcspn(l->line, "\r")] = '\0';
	return l->line;
}

const char *line_next(struct line_input *l, const char *prompt)
{
	l->prompt = prompt;
	fflush(stdout);
	if (l->edit != NULL) {
		return edit_next(l);
	}
	return plain_next(l);
}

void line_close(struct line_input *l)
{
	if (l == NULL) {
		return;
	}
	if (l->path != NULL) {
		history(l->history, &l->event, H_SAVE, l->path);
	}
	if (l->history != NULL) {
		history_end(l->history);
	}
	if (l->edit != NULL) {
		el_end(l->edit);
	}
	free(l->path);
	free(l->line);
	free(l);
}
