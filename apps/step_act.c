/* What the user does: calls at an end, and things to the frames on their way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "step.h"

void act_run(struct repl *r, struct tg_step_action *a)
{
	const char *why = NULL;
	int64_t result = tg_stepper_act(r->w, a, &r->last, &r->did, &why);

	if (why != NULL) {
		refuse(r, "%s", why);
		return;
	}
	run_done(r);
	if (result < 0) {
		printf("  result  %s\n", errno_text(result));
	}
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* Takes the name of an end off the front of args, if one stands there. */
static unsigned end_take(struct repl *r, char **args, unsigned otherwise)
{
	char *at = *args + strspn(*args, " ");
	size_t n = strcspn(at, " ");

	for (unsigned end = 0; end < 2; end++) {
		if (n == strlen(r->end_name[end]) && strncasecmp(at, r->end_name[end], n) == 0) {
			*args = at + n;
			return end;
		}
	}
	return otherwise;
}

/* Takes a connection's name off the front, if one stands there; else the current one. NULL:
 * refused.
 */
static const struct conn_name *conn_take(struct repl *r, char **args)
{
	char copy[16], *at = *args + strspn(*args, " ");
	size_t n = strcspn(at, " ");

	names_update(r);
	if (n > 0 && n < sizeof copy) {
		memcpy(copy, at, n);
		copy[n] = '\0';
		if (name_find(r, copy) != NULL ||
			((copy[0] == 'c' || copy[0] == 'l') && copy[1] >= '0' && copy[1] <= '9')) {
			*args = at + n;
			return name_wanted(r, copy);
		}
	}
	return name_wanted(r, NULL);
}

/* A handle of it to call with. False: refused. */
static bool sock_of(struct repl *r, const struct conn_name *n, tg_sock *out)
{
	struct tg_tcb t;

	if (!tcb_of_name(r, n, &t)) {
		refuse(r, "%s is closed: nothing is left of it", n->name);
		return false;
	}
	if (t.sock == 0 && t.v[TG_TCB_PASSIVE] && t.v[TG_TCB_STATE] != TG_TIME_WAIT) {
		refuse(r, "the application at %s has not accepted %s yet: \"accept\"",
			r->end_name[n->end], n->name);
		return false;
	}
	if (t.sock == 0) {
		refuse(r, "the application at %s has closed %s: it has no socket any more",
			r->end_name[n->end], n->name);
		return false;
	}
	*out = t.sock;
	return true;
}

static bool start(struct repl *r, char **args, enum tg_step_act act, struct tg_step_action *a)
{
	const struct conn_name *n = conn_take(r, args);

	*a = (struct tg_step_action){.act = (uint8_t)act};
	if (n == NULL || !sock_of(r, n, &a->sock)) {
		return false;
	}
	a->end = n->end;
	return true;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* "[ADDR:]PORT". */
static bool addr_parse(const char *word, struct tg_addr *a)
{
	const char *colon = strrchr(word, ':');
	char ip[16];
	uint64_t port;

	if (colon != NULL) {
		if ((size_t)(colon - word) >= sizeof ip) {
			return false;
		}
		memcpy(ip, word, (size_t)(colon - word));
		ip[colon - word] = '\0';
		if (!tg_ip_parse(ip, &a->ip)) {
			return false;
		}
		word = colon + 1;
	}
	if (!parse_u64(word, 1, 65535, &port)) {
		return false;
	}
	a->port = (uint16_t)port;
	return true;
}

void act_connect(struct repl *r, char *args)
{
	struct tg_step_action a = {.act = TG_ACT_CONNECT};
	char *word;

	a.end = (uint8_t)end_take(r, &args, 0);
	a.addr = (struct tg_addr){tg_ip4(10, 0, 0, a.end == 0 ? 2 : 1), 80};
	word = word_next(&args);
	if (word != NULL && !addr_parse(word, &a.addr)) {
		refuse(r, "\"%s\" is no [ADDRESS:]PORT", word);
		return;
	}
	act_run(r, &a);
}

void act_listen(struct repl *r, char *args)
{
	struct tg_step_action a = {.act = TG_ACT_LISTEN};
	char *word;

	a.end = (uint8_t)end_take(r, &args, 1);
	word = word_next(&args);
	if (word == NULL || !addr_parse(word, &a.addr)) {
		refuse(r, "on which port? listen %s 8080", r->end_name[a.end]);
		return;
	}
	act_run(r, &a);
}

/* The listener named, or the first with a connection waiting, or the first. */
static const struct conn_name *listener_wanted(struct repl *r, const char *word)
{
	const struct conn_name *any = NULL;

	names_update(r);
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct conn_name *n = &r->name[i];
		const struct tg *s = tg_stepper_instance(r->w, n->end);

		if (!n->listener || (word != NULL && strcmp(word, n->name) != 0)) {
			continue;
		}
		if (any == NULL || (s != NULL && tg_sock_ready(s, n->sock) & TG_IN)) {
			any = n;
		}
	}
	if (any == NULL) {
		refuse(r,
			word != NULL ? "there is no listener \"%s\": \"info conns\" lists them"
				     : "%snobody listens: \"listen\" does",
			word != NULL ? word : "");
	}
	return any;
}

void act_accept(struct repl *r, char *args)
{
	struct tg_step_action a = {.act = TG_ACT_ACCEPT};
	const struct conn_name *n = listener_wanted(r, word_next(&args));

	if (n != NULL && sock_of(r, n, &a.sock)) {
		a.end = n->end;
		act_run(r, &a);
	}
}

void act_send(struct repl *r, char *args)
{
	struct tg_step_action a;
	uint64_t n;
	size_t len;

	if (!start(r, &args, TG_ACT_SEND, &a)) {
		return;
	}
	args += strspn(args, " ");
	len = strlen(args);
	while (len > 0 && args[len - 1] == ' ') {
		args[--len] = '\0';
	}
	if (len == 0) {
		refuse(r, "send what? a text, or a number of bytes: send %s hello, send %s 5000",
			r->current, r->current);
		return;
	}
	if (parse_u64(args, 1, TG_STEP_DATA_MAX, &n)) {
		a.bytes = (uint32_t)n;
	} else {
		if (len >= 2 && args[0] == '"' && args[len - 1] == '"') {
			args[len - 1] = '\0';
			args++;
			len -= 2;
		}
		a.data = args;
		a.bytes = (uint32_t)len;
	}
	act_run(r, &a);
}

void act_recv(struct repl *r, char *args)
{
	struct tg_step_action a;
	uint64_t n = TG_STEP_DATA_MAX;
	char *word;

	if (!start(r, &args, TG_ACT_RECV, &a)) {
		return;
	}
	word = word_next(&args);
	if (word != NULL && !parse_u64(word, 1, TG_STEP_DATA_MAX, &n)) {
		refuse(r, "\"%s\" is no number of bytes, 1 to %u", word, TG_STEP_DATA_MAX);
		return;
	}
	a.bytes = (uint32_t)n;
	act_run(r, &a);
	if (r->did.n_got > 0) {
		uint32_t here = r->did.n_got < TG_STEP_GOT ? r->did.n_got : TG_STEP_GOT;

		printf("  got     %" PRIu32 " bytes: \"", r->did.n_got);
		for (uint32_t i = 0; i < here; i++) {
			uint8_t c = r->did.got[i];

			putchar(c >= 0x20 && c < 0x7f ? c : '.');
		}
		printf("%s\"\n", here < r->did.n_got ? "..." : "");
	}
}

void act_shutdown(struct repl *r, char *args)
{
	struct tg_step_action a;
	char *word;

	if (!start(r, &args, TG_ACT_SHUTDOWN, &a)) {
		return;
	}
	word = word_next(&args);
	a.how = TG_SHUT_WR;
	if (word != NULL && strcmp(word, "rd") == 0) {
		a.how = TG_SHUT_RD;
	} else if (word != NULL && strcmp(word, "rdwr") == 0) {
		a.how = TG_SHUT_RDWR;
	} else if (word != NULL && strcmp(word, "wr") != 0) {
		refuse(r, "which direction? wr, rd or rdwr");
		return;
	}
	act_run(r, &a);
}

void act_close(struct repl *r, char *args)
{
	struct tg_step_action a;

	if (start(r, &args, TG_ACT_CLOSE, &a)) {
		act_run(r, &a);
	}
}

void act_abort(struct repl *r, char *args)
{
	struct tg_step_action a;

	if (start(r, &args, TG_ACT_ABORT, &a)) {
		act_run(r, &a);
	}
}

void act_set(struct repl *r, char *args)
{
	static const struct {
		const char *name;
		enum tg_option option;
	} options[] = {{"nodelay", TG_TCP_NODELAY}, {"cork", TG_TCP_CORK},
		{"quickack", TG_TCP_QUICKACK}, {"keepalive", TG_SO_KEEPALIVE},
		{"sndbuf", TG_SO_SNDBUF}, {"rcvbuf", TG_SO_RCVBUF}, {"linger", TG_SO_LINGER}};
	struct tg_step_action a;
	char *name, *value;

	if (!start(r, &args, TG_ACT_SETOPT, &a)) {
		return;
	}
	name = word_next(&args);
	value = word_next(&args);
	for (size_t i = 0; name != NULL && i < sizeof options / sizeof options[0]; i++) {
		uint64_t v = 1;

		if (strcmp(name, options[i].name) != 0) {
			continue;
		}
		if (value != NULL && strcmp(value, "on") != 0 && strcmp(value, "off") != 0 &&
			!parse_u64(value, 0, INT32_MAX, &v)) {
			refuse(r, "\"%s\" is neither on, off nor a number", value);
			return;
		}
		a.option = options[i].option;
		a.value = value != NULL && strcmp(value, "off") == 0 ? 0 : (int64_t)v;
		act_run(r, &a);
		return;
	}
	refuse(r, "which option? nodelay, cork, quickack, keepalive, sndbuf, rcvbuf, linger");
}

/* ---- Frames on their way --------------------------------------------------------------------- */

/* The frame named by "#7" or "7"; without a word the one that comes next. False: refused. */
static bool frame_wanted(struct repl *r, const char *word, uint32_t *id)
{
	struct tg_step_frame f;
	uint64_t n;

	if (word == NULL) {
		if (r->next.kind == TG_STEP_FRAME) {
			*id = r->next.frame_id;
			return true;
		}
		if (tg_stepper_queue(r->w, 0, &f)) {
			*id = f.id;
			return true;
		}
		refuse(r, "no frame is on its way");
		return false;
	}
	if (!parse_u64(word + (*word == '#'), 1, UINT32_MAX, &n)) {
		refuse(r, "\"%s\" is no frame's number: \"info queue\" lists them", word);
		return false;
	}
	for (uint32_t i = 0; tg_stepper_queue(r->w, i, &f); i++) {
		if (f.id == n) {
			*id = (uint32_t)n;
			return true;
		}
	}
	refuse(r, "frame #%" PRIu64 " is not on its way: \"info queue\" lists those that are", n);
	return false;
}

static void simple(struct repl *r, char *args, enum tg_step_act act)
{
	struct tg_step_action a = {.act = (uint8_t)act};

	if (frame_wanted(r, word_next(&args), &a.frame_id)) {
		act_run(r, &a);
	}
}

void act_deliver(struct repl *r, char *args)
{
	simple(r, args, TG_ACT_DELIVER);
}

void act_drop(struct repl *r, char *args)
{
	simple(r, args, TG_ACT_DROP);
}

void act_dup(struct repl *r, char *args)
{
	simple(r, args, TG_ACT_DUP);
}

void act_swap(struct repl *r, char *args)
{
	struct tg_step_action a = {.act = TG_ACT_SWAP};
	char *first = word_next(&args), *second = word_next(&args);
	struct tg_step_frame f, g;

	if (!frame_wanted(r, first, &a.frame_id)) {
		return;
	}
	if (second != NULL) {
		if (frame_wanted(r, second, &a.frame_id2)) {
			act_run(r, &a);
		}
		return;
	}
	/* with the next one to the same end */
	for (uint32_t i = 0; tg_stepper_queue(r->w, i, &f); i++) {
		if (f.id != a.frame_id) {
			continue;
		}
		for (uint32_t k = i + 1; tg_stepper_queue(r->w, k, &g); k++) {
			if (g.to_end == f.to_end) {
				a.frame_id2 = g.id;
				act_run(r, &a);
				return;
			}
		}
	}
	refuse(r, "no other frame follows it to the same end: swapping takes two");
}

void act_corrupt(struct repl *r, char *args)
{
	struct tg_step_action a = {.act = TG_ACT_CORRUPT};
	char *first = word_next(&args), *second = word_next(&args);
	const char *octet = second != NULL ? second : first;
	uint64_t n;

	if (octet == NULL || !parse_u64(octet, 0, 65535, &n)) {
		refuse(r, "which octet? corrupt [FRAME] 40 inverts the 41st; \"x/frame\" numbers "
			  "them");
		return;
	}
	a.offset = (uint32_t)n;
	if (frame_wanted(r, second != NULL ? first : NULL, &a.frame_id)) {
		act_run(r, &a);
	}
}

void act_delay(struct repl *r, char *args)
{
	struct tg_step_action a = {.act = TG_ACT_DELAY};
	char *first = word_next(&args), *second = word_next(&args);
	const char *time = second != NULL ? second : first;

	if (time == NULL || !time_parse(time, &a.ns)) {
		refuse(r, "by how long? delay [FRAME] 50ms");
		return;
	}
	if (frame_wanted(r, second != NULL ? first : NULL, &a.frame_id)) {
		act_run(r, &a);
	}
}
