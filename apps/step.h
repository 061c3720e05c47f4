/* `tapglass step`, the debugger for TCP: what its files share.
 *
 *   step                 the verb, worlds and their options
 *   step_line            input: libedit or plain lines
 *   step_cmd             the table of commands, help
 *   step_run             step, next, continue, back, goto, fork
 *   step_show            what a stop looks like, what changed
 *   step_log             what has been, for the pictures
 *   step_names           c1, c2: names of connections
 *   step_expr            expressions
 *   step_break           breakpoints and watches
 *   step_act             connect, send, drop, dup and their like
 *   step_info, step_list info, print, x, why, expect; list
 *   step_pictures        show ladder, states, space
 *   step_save            writes a packet script
 *   step_packet, step_dissect  frames
 *   step_lessons         the lessons
 *   step_live            the world on a device */
#ifndef TAPGLASS_APPS_STEP_H
#define TAPGLASS_APPS_STEP_H

#include <stdio.h>

#include "step_packet.h"
#include "tapglass_step.h"
#include "util.h"

enum step_world { WORLD_LAB, WORLD_SCRIPT, WORLD_JOURNAL, WORLD_LIVE };

/* A connection, listener or socket at one end; named when first seen, and for good. */
struct conn_name {
	char name[12]; /* "c1", "l1" */
	uint8_t end;
	bool listener;
	uint32_t round; /* names_update that saw it last */
	struct tg_addr local, peer;
	tg_sock sock; /* of the incarnation seen last */
};
/* When all are given away those of connections that are gone are taken back. */
#define CONN_NAMES 256u

/* A move between states that has happened, for ladders and the diagram. */
struct move {
	uint64_t position;
	uint8_t end, from, to;
	uint16_t cause;
	char name[12];
};

/* A frame that went to an end that is not ours, for ladders. */
struct sent {
	uint64_t position;
	uint8_t end; /* that sent it */
	char text[64];
};

struct breakpoint;
struct line_input;
struct step_live_world;

struct repl {
	struct tg_stepper *w;
	enum step_world world;
	enum tg_link link; /* of frames that an end sends */
	const char *end_name[2];
	bool terminal, echo;
	struct line_input *in;
	struct conn_name name[CONN_NAMES];
	unsigned n_names, n_conns, n_listeners;
	uint32_t names_round, unnamed; /* connections for which there is no name */
	char current[12];              /* connection spoken of last */
	struct move *move;
	size_t n_moves, moves_room;
	struct sent *sent;
	size_t n_sent, sent_room;
	struct breakpoint *breaks; /* in order of their numbers */
	unsigned next_break;
	struct tg_step_event next, last; /* of the stop; the event that happened last */
	struct tg_step_effects will, did;
	bool predicted, have_did, shown; /* shown: the stop was told */
	uint64_t note_line;              /* whose note was printed last, plus 1 */
	unsigned failed;  /* `expect`s that were not met, commands that were refused */
	bool quit, batch; /* batch: the first command refused ends it */
	struct step_live_world *live;
	const char *script; /* text of a script world */
	size_t script_bytes;
};

/* A command was refused: prints it, and counts. */
void refuse(struct repl *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- step_line.c ---- */

/* From f, or the terminal if f is one. */
struct line_input *line_open(struct repl *r, FILE *f);
/* The next line without its end, valid until the next call; NULL: over. */
const char *line_next(struct line_input *l, const char *prompt);
void line_close(struct line_input *l);

/* ---- step_cmd.c ---- */

/* One line of input: finds the command and does it. */
void command_run(struct repl *r, const char *line);
/* For completion: the i-th command's name; NULL: there are no more. */
const char *command_name(unsigned i);
/* The next word of *at, cut off and ended; NULL: none. */
char *word_next(char **at);
/* Is `text` `name`, or an abbreviation of it? */
bool word_abbreviates(const char *text, const char *name, size_t least);
/* "10ms", "2 s", "1.5s", "200": without a unit seconds. False: none. */
bool time_parse(const char *text, uint64_t *ns);
bool count_parse(struct repl *r, const char *text, uint64_t *n);

/* ---- step_names.c ---- */

/* Looks for connections that have no name yet, at both ends. */
void names_update(struct repl *r);
/* NULL: it has none, or not yet. */
const struct conn_name *name_of_tcb(const struct repl *r, unsigned end, const struct tg_tcb *t);
const struct conn_name *name_find(const struct repl *r, const char *name);
/* The TCB as it is now. False: there is no such connection at present. */
bool tcb_of_name(const struct repl *r, const struct conn_name *n, struct tg_tcb *out);
/* By the serial number at one end; NULL: none. */
const struct conn_name *name_of_serial(struct repl *r, unsigned end, uint32_t serial);
/* The connection spoken of: by name, or the current one. NULL: refused. */
const struct conn_name *name_wanted(struct repl *r, const char *text);
/* Initial numbers of the sender and the receiver of p. */
void packet_isns(struct repl *r, const struct packet *p, uint32_t *isn, uint32_t *peer_isn);
/* Of a trace record's connection, by its addresses; NULL: not known. */
const struct conn_name *name_of_trace(const struct repl *r, unsigned end, const struct tg_trace *t);
/* Whose frame it is, as a name of one end: the receiver's connection. NULL: not known. */
const struct conn_name *name_of_packet(struct repl *r, unsigned end, const struct packet *p);

/* ---- step_show.c ---- */

/* Reads what comes next and what it will do. */
void stop_read(struct repl *r, bool predict);
/* Tells it: the event, the rules, what will be. why: what stopped here, or NULL. */
void stop_show(struct repl *r, const char *why);
/* One line: what the event is. */
void event_text(struct repl *r, const struct tg_step_event *e, char *buf, size_t cap);
/* What it did, field by field. */
void did_show(struct repl *r);
void rules_show(struct repl *r, const struct tg_step_effects *fx, unsigned end);
/* A value of a TCB as text. */
char *tcb_value_text(
	const struct repl *r, const struct tg_tcb *t, unsigned field, char *buf, size_t cap);
/* A length of time: "1.500 ms"; a point: seconds since the world began. */
char *length_text(uint64_t ns, char buf[24]);
char *time_text(uint64_t ns, char buf[24]);
uint64_t deadline_ns(const struct repl *r, uint64_t clock_ns); /* since the world began */
void prompt_hint(struct repl *r);

/* ---- step_log.c ---- */

void ladder_text(struct repl *r, const struct packet *p, char *buf, size_t cap);
/* Keeps the moves of what was done. */
void moves_note(struct repl *r);
/* Forgets those behind the present position. */
void moves_cut(struct repl *r);

/* ---- step_expr.c ---- */

/* Values are integers; sequence numbers relative to the initial one, times in ns. */
struct expr_result {
	bool known; /* false: a connection in it does not exist at present */
	int64_t value;
	int state;         /* enum tg_state if it is one, else -1 */
	const char *field; /* name of a single field, or NULL */
	unsigned tcb_field;
	struct tg_tcb tcb;
};
/* text as written. False: not understood, *error tells, valid until the next call. */
bool expr_eval(struct repl *r, const char *text, struct expr_result *out, const char **error);

/* ---- step_break.c ---- */

void break_add(struct repl *r, char *args, bool once);
void break_watch(struct repl *r, char *args);
void break_list(struct repl *r);
/* Removes, or switches: "1 3", or all. */
void break_delete(struct repl *r, char *args);
void break_enable(struct repl *r, char *args, bool on);
void break_condition(struct repl *r, char *args);
bool break_any(const struct repl *r);
/* Does one of them stop before r->next? Its words in buf. Without `really` nothing is counted and
 * what stops once only stays. */
bool break_before(struct repl *r, bool really, char *buf, size_t cap);
/* ... after what just happened (watches)? */
bool break_after(struct repl *r, bool really, char *buf, size_t cap);
/* After going elsewhere: watches compare with what is there. */
void break_moved(struct repl *r);
void break_free(struct repl *r);

/* ---- step_run.c ---- */

/* From now on SIGTERM and SIGHUP end the session as `quit` does, for worlds that have something to
 * clear away. */
void run_catch_end(void);
/* Did one of them come? */
bool run_ended(struct repl *r);
void run_step(struct repl *r, char *args);
void run_next(struct repl *r, char *args);
void run_continue(struct repl *r, char *args);
void run_finish(struct repl *r, char *args);
void run_until(struct repl *r, char *args);
void run_advance(struct repl *r, char *args);
void run_restart(struct repl *r, char *args);
void run_back(struct repl *r, char *args);
void run_reverse_continue(struct repl *r, char *args);
void run_goto(struct repl *r, char *args);
/* At the beginning of a session: to that position, or as far as it goes. */
void run_begin(struct repl *r, uint64_t position);
void run_fork(struct repl *r, char *args);
void run_branches(struct repl *r, char *args);
void run_switch(struct repl *r, char *args);
/* After something was done by hand: what changed, and the new stop. */
void run_done(struct repl *r);

/* ---- step_act.c ---- */

void act_connect(struct repl *r, char *args);
void act_listen(struct repl *r, char *args);
void act_accept(struct repl *r, char *args);
void act_send(struct repl *r, char *args);
void act_recv(struct repl *r, char *args);
void act_shutdown(struct repl *r, char *args);
void act_close(struct repl *r, char *args);
void act_abort(struct repl *r, char *args);
void act_set(struct repl *r, char *args);
void act_deliver(struct repl *r, char *args);
void act_drop(struct repl *r, char *args);
void act_dup(struct repl *r, char *args);
void act_swap(struct repl *r, char *args);
void act_corrupt(struct repl *r, char *args);
void act_delay(struct repl *r, char *args);
/* "1000 bytes", "Connection refused": the result of a call. */
void act_run(struct repl *r, struct tg_step_action *a);

/* ---- step_info.c ---- */

void info_command(struct repl *r, char *args);
void info_print(struct repl *r, char *args);
void info_x(struct repl *r, char *args);
void info_list(struct repl *r, char *args);
void info_why(struct repl *r, char *args);
void info_expect(struct repl *r, char *args);
void info_show(struct repl *r, char *args);

/* Made by the Makefile: the list of clauses, the library's sources, the lessons; the last entry is
 * all NULL. */
struct listed_file {
	const char *name, *text, *end;
};
extern const struct listed_file listed_files[] __attribute__((visibility("hidden")));

/* ---- step_lessons.c ---- */

/* "handshake"; NULL: there is no such lesson. */
const struct listed_file *lesson_find(const char *name);
void lessons_list(void);

/* ---- pictures, saving ---- */

void ladder_show(struct repl *r, char *args);
void states_show(struct repl *r, char *args);
void space_show(struct repl *r, char *args);
void save_command(struct repl *r, char *args);

#endif
