/* The stepper's commands: one table with names, abbreviations, arguments and help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "step.h"

#define LINE_MAX_BYTES 4096

static void help_command(struct repl *r, char *args);

static void quit_command(struct repl *r, char *args)
{
	(void)args;
	r->quit = true;
}

static void break_command(struct repl *r, char *args)
{
	break_add(r, args, false);
}

static void tbreak_command(struct repl *r, char *args)
{
	break_add(r, args, true);
}

static void enable_command(struct repl *r, char *args)
{
	break_enable(r, args, true);
}

static void disable_command(struct repl *r, char *args)
{
	break_enable(r, args, false);
}

struct command {
	const char *name, *alias; /* alias: NULL, or a short name that is no beginning */
	unsigned least;           /* letters that will do */
	void (*run)(struct repl *r, char *args);
	bool repeats; /* an empty line does it again */
	const char *args, *help;
};

static const struct command commands[] = {
	{"step", NULL, 1, run_step, true, "[N]",
		"let the next event happen (step 5: five of them)"},
	{"next", NULL, 1, run_next, true, "", "go on until this end has something to do again"},
	{"continue", NULL, 1, run_continue, true, "",
		"go on until a breakpoint, or until nothing is left"},
	{"finish", NULL, 3, run_finish, false, "[CONN]", "go on until a connection is closed"},
	{"until", NULL, 1, run_until, false, "TIME", "go on until a time: until 1.5s"},
	{"advance", NULL, 3, run_advance, false, "TIME", "go on for so long: advance 200ms"},
	{"run", NULL, 1, run_restart, false, "", "from the beginning again, until a breakpoint"},
	{"back", NULL, 2, run_back, true, "[N]", "go back one event (back 5: five of them)"},
	{"reverse-step", "rs", 9, run_back, true, "[N]", "the same"},
	{"reverse-continue", "rc", 9, run_reverse_continue, true, "",
		"go back to where a breakpoint was, or to the beginning"},
	{"goto", NULL, 1, run_goto, false, "EVENT",
		"go to where so many events have happened: goto 17"},
	{"fork", NULL, 2, run_fork, false, "NAME",
		"keep what lies ahead under a name, and do otherwise"},
	{"branches", NULL, 5, run_branches, false, "", "list what was kept"},
	{"switch", NULL, 2, run_switch, false, "NAME", "go on with what was kept"},
	{"break", NULL, 1, break_command, false,
		"state S | segment FLAGS | retransmit | drop [REASON] | timer [NAME] | "
		"connection | conn C | call | event N | if EXPR ... [if EXPR]",
		"stop before an event: break state ESTABLISHED, break segment F."},
	{"tbreak", NULL, 2, tbreak_command, false, "...", "the same, once"},
	{"watch", NULL, 1, break_watch, false, "EXPR",
		"stop when a value has changed: watch c1.cwnd"},
	{"delete", NULL, 3, break_delete, false, "[N]...",
		"remove breakpoints (those named, or all)"},
	{"enable", NULL, 2, enable_command, false, "[N]...", "switch breakpoints on"},
	{"disable", NULL, 3, disable_command, false, "[N]...", "switch breakpoints off"},
	{"condition", NULL, 4, break_condition, false, "N [EXPR]",
		"let a breakpoint stop only if something holds"},
	{"deliver", NULL, 4, act_deliver, false, "[FRAME]",
		"let a frame on its way come now (without a number: the next)"},
	{"drop", NULL, 2, act_drop, false, "[FRAME]", "lose it"},
	{"dup", NULL, 2, act_dup, false, "[FRAME]", "let it come twice"},
	{"swap", NULL, 3, act_swap, false, "[FRAME [FRAME]]", "let two change places"},
	{"corrupt", NULL, 3, act_corrupt, false, "[FRAME] OCTET",
		"invert an octet of it: corrupt 40"},
	{"delay", NULL, 4, act_delay, false, "[FRAME] TIME", "let it come later: delay 50ms"},
	{"connect", NULL, 4, act_connect, false, "[END] [ADDR:]PORT", "open a connection"},
	{"listen", NULL, 5, act_listen, false, "[END] PORT", "open a listener: listen server 8080"},
	{"accept", NULL, 3, act_accept, false, "[LISTENER]", "take a connection from a listener"},
	{"send", NULL, 3, act_send, false, "[CONN] TEXT | N",
		"send a text, or so many bytes: send c1 hello, send c1 5000"},
	{"recv", NULL, 3, act_recv, false, "[CONN] [N]", "read what has come"},
	{"shutdown", NULL, 2, act_shutdown, false, "[CONN] [wr | rd | rdwr]",
		"end one direction, or both"},
	{"close", NULL, 2, act_close, false, "[CONN]", "close a socket"},
	{"abort", NULL, 2, act_abort, false, "[CONN]", "reset a connection"},
	{"set", NULL, 3, act_set, false, "CONN OPTION VALUE",
		"an option: nodelay, cork, quickack, keepalive, sndbuf, rcvbuf, linger"},
	{"print", NULL, 1, info_print, false, "tcb [CONN] | EXPR",
		"show a whole TCB, or a value: print tcb, print c1.snd.una"},
	{"info", NULL, 1, info_command, false,
		"conns | timers | queue | arp | breakpoints | events | drops | world",
		"list conns, timers, queue, arp, breakpoints, events, drops, world"},
	{"x", "x/frame", 1, info_x, false, "[FRAME]", "show a frame's headers, field by field"},
	{"list", NULL, 1, info_list, false, "[CLAUSE]",
		"show what a rule asks, and the C that implements it"},
	{"why", NULL, 3, info_why, false, "[CONN]",
		"show the last decisions, and what a sender waits for"},
	{"show", NULL, 2, info_show, false, "ladder | states | space [CONN]",
		"draw a picture: ladder, states or space"},
	{"expect", NULL, 3, info_expect, false, "state CONN STATE | EXPR",
		"fail unless something holds: for scripts"},
	{"save", NULL, 2, save_command, false, "FILE [END]",
		"write a packet script of what was done, for `tapglass drill`"},
	{"help", "h", 4, help_command, false, "[COMMAND]", "list the commands, or tell about one"},
	{"quit", NULL, 1, quit_command, false, "", "end; so does the end of input"},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

const char *command_name(unsigned i)
{
	return i < COMMANDS ? commands[i].name : NULL;
}

bool word_abbreviates(const char *text, const char *name, size_t least)
{
	size_t n = strlen(text);

	return n >= least && n > 0 && strncasecmp(text, name, n) == 0;
}

char *word_next(char **at)
{
	char *word = *at + strspn(*at, " \t"), *end;

	if (*word == '\0') {
		*at = word;
		return NULL;
	}
	end = word + strcspn(word, " \t");
	*at = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

bool time_parse(const char *text, uint64_t *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
	char *end;
	double v;

	if (*text < '0' || *text > '9') {
		if (*text != '.') {
			return false;
		}
	}
	v = strtod(text, &end);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].unit) == 0 && v * units[i].ns < 9e18) {
			*ns = (uint64_t)(v * units[i].ns + 0.5);
			return true;
		}
	}
	return false;
}

bool count_parse(struct repl *r, const char *text, uint64_t *n)
{
	*n = 1;
	if (text == NULL || parse_u64(text, 1, UINT64_MAX / 2, n)) {
		return true;
	}
	refuse(r, "\"%s\" is no number", text);
	return false;
}

void refuse(struct repl *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	r->failed++;
}

/* NULL: refused. */
static const struct command *command_find(struct repl *r, const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (word_abbreviates(word, c->name, c->least) ||
			(c->alias != NULL && strcmp(word, c->alias) == 0)) {
			return c;
		}
	}
	if (strncmp(word, "x/", 2) == 0) {
		refuse(r, "\"%s\" is for memory; here frames are looked at: x/frame", word);
		return NULL;
	}
	printf("there is no command \"%s\"", word);
	for (size_t i = 0, n = 0; i < COMMANDS; i++) {
		if (commands[i].name[0] == word[0]) {
			printf("%s%s", n++ ? ", " : "; with that letter begin: ", commands[i].name);
		}
	}
	refuse(r, " (\"help\" lists all)");
	return NULL;
}

static void help_one(const struct command *c)
{
	printf("%s%s%s\n    %s%s\n", c->name, *c->args ? " " : "", c->args, c->help,
		c->repeats ? "; an empty line does it again" : "");
	if (c->alias != NULL) {
		printf("    also: %s\n", c->alias);
	}
}

static void help_command(struct repl *r, char *args)
{
	char *word = word_next(&args);
	const struct command *c;

	if (word != NULL) {
		c = command_find(r, word);
		if (c != NULL) {
			help_one(c);
		}
		return;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		printf("  %-17s %s\n", commands[i].name, commands[i].help);
	}
	puts("Commands may be shortened: s n c b p i. An empty line repeats. \"help COMMAND\" "
	     "tells\n"
	     "its arguments. Connections are c1, c2; their variables c1.snd.una, c1.cwnd (\"print "
	     "tcb\").");
}

/* No control characters, which would reach the terminal with the answer; tabs become blanks. */
static bool is_clean(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\t') {
			*text = ' ';
		}
		if ((unsigned char)*text < 0x20 || *text == 0x7f) {
			return false;
		}
	}
	return true;
}

void command_run(struct repl *r, const char *line)
{
	static const struct command *last;
	static char last_args[LINE_MAX_BYTES];
	char text[LINE_MAX_BYTES], *at = text, *word;
	const struct command *c;

	if (strlen(line) >= sizeof text) {
		refuse(r, "that line is too long: up to %zu bytes", sizeof text - 1);
		return;
	}
	snprintf(text, sizeof text, "%s", line);
	if (!is_clean(text)) {
		refuse(r, "a command has no control characters in it");
		return;
	}
	for (size_t n = strlen(text); n > 0 && text[n - 1] == ' ';) {
		text[--n] = '\0'; /* completion leaves one */
	}
	word = word_next(&at);
	if (word != NULL && *word == '#') {
		return;
	}
	if (word == NULL) {
		if (last == NULL || !last->repeats || !r->terminal) {
			return;
		}
		c = last;
		snprintf(text, sizeof text, "%s", last_args);
		at = text;
	} else {
		c = command_find(r, word);
		if (c == NULL) {
			return;
		}
		last = c;
		snprintf(last_args, sizeof last_args, "%s", at);
	}
	c->run(r, at);
}
