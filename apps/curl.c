/* `tapglass curl`: one HTTP/1.1 request from the running stack or one of its own; flags and exit
 * statuses as curl has them, except that a wrong command line is 2. Left out: names (addresses
 * only), TLS, cookies, proxies. Files are opened by the process that was asked
 * and passed to the running stack. */
#define _GNU_SOURCE 1
#include "curl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alone.h"
#include "http_parse.h"
#include "verbs.h"

static const struct option_spec curl_options[] = {
	{"request", 'X', 'X', "METHOD",
		"this method (default: as the other options imply, or GET)"},
	{"head", 'I', 'I', NULL, "HEAD: print the head of the response"},
	{"data", 'd', 'd', "TEXT",
		"POST this; several are joined by &; @FILE: a file, without its line ends"},
	{"data-binary", 0, 'b', "TEXT", "the same; @FILE: a file as it is"},
	{"data-raw", 0, 'r', "TEXT", "the same; @ means nothing"},
	{"upload-file", 'T', 'T', "FILE", "PUT a file; -: standard input"},
	{"output", 'o', 'o', "FILE", "write the body to a file; -: standard output"},
	{"remote-name", 'O', 'O', NULL, "write it to a file named like the last part of the URL"},
	{"header", 'H', 'H', "FIELD", "\"Name: value\"; \"Name:\" leaves out one of ours"},
	{"user-agent", 'A', 'A', "TEXT", "the field User-Agent; empty: none"},
	{"location", 'L', 'L', NULL, "follow redirections"},
	{"max-redirs", 0, 'R', "N", "so many at most (50)"},
	{"include", 'i', 'i', NULL, "print the head of the response, too"},
	{"fail", 'f', 'f', NULL, "status 400 and above: no output, exit status 22"},
	{"silent", 's', 's', NULL, "no error messages"},
	{"show-error", 'S', 'S', NULL, "but with -S after all"},
	{"verbose", 'v', 'v', NULL, "tell what is sent and received on standard error"},
	{"max-time", 'm', 'm', "SEC", "give up after so long"},
	{"connect-timeout", 0, 'c', "SEC", "give up connecting after so long"},
	{"write-out", 'w', 'w', "FORMAT", "print at the end, with %{http_code} and the like"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_time(const char *option, const char *arg, uint64_t *ns)
{
	if (!parse_seconds(arg, 1e6, ns) || *ns < NS_PER_MS) {
		return usage_error("%s %s: not a time of at least 0.001 seconds", option, arg);
	}
	return 0;
}

static int set_method(struct curl_opt *o, const char *arg)
{
	for (const char *p = arg; *p != '\0'; p++) {
		if (!http_is_token((unsigned char)*p) || p - arg > 31) {
			return usage_error("-X %s: not a method", arg);
		}
	}
	o->method = arg;
	return *arg != '\0' ? 0 : usage_error("-X: a method has letters");
}

static int set_text(struct curl_opt *o, int value, const char *arg)
{
	size_t *n = value != 'H' ? &o->n_data : &o->n_field;
	const char **at = value != 'H' ? o->data : o->field;

	if (*n == CURL_FIELDS_OWN_MAX) {
		return usage_error("-%c: %u of them are the most", value == 'H' ? 'H' : 'd',
			CURL_FIELDS_OWN_MAX);
	}
	if (value != 'H') {
		o->data_kind[*n] = (char)value;
	}
	if (value == 'H' && (strpbrk(arg, "\r\n") != NULL || strcspn(arg, ":;") == 0 ||
				    strpbrk(arg, ":;") == NULL)) {
		return usage_error("-H %s: not a field like \"Name: value\"", arg);
	}
	at[(*n)++] = arg;
	return 0;
}

static int set_agent(struct curl_opt *o, const char *arg)
{
	if (strpbrk(arg, "\r\n") != NULL) {
		return usage_error("-A: no line ends in it");
	}
	o->agent = arg;
	return 0;
}

static int set_redirs(struct curl_opt *o, const char *arg)
{
	uint64_t n;

	if (!parse_u64(arg, 0, 1000, &n)) {
		return usage_error("--max-redirs %s: not a number up to 1000", arg);
	}
	o->max_redirs = (uint32_t)n;
	return 0;
}

static int curl_set(void *ctx, int value, const char *arg)
{
	struct curl_opt *o = ctx;

	switch (value) {
	case 'X': return set_method(o, arg);
	case 'I': o->head = true; return 0;
	case 'd':
	case 'b':
	case 'r':
	case 'H': return set_text(o, value, arg);
	case 'T': o->upload = arg; return 0;
	case 'o': o->output = arg; return 0;
	case 'O': o->remote_name = true; return 0;
	case 'A': return set_agent(o, arg);
	case 'L': o->location = true; return 0;
	case 'R': return set_redirs(o, arg);
	case 'i': o->include = true; return 0;
	case 'f': o->fail = true; return 0;
	case 's': o->silent = true; return 0;
	case 'S': o->show_error = true; return 0;
	case 'v': o->verbose = true; return 0;
	case 'm': return set_time("--max-time", arg, &o->max_ns);
	case 'c': return set_time("--connect-timeout", arg, &o->connect_ns);
	default: o->write_out = arg; return 0;
	}
}

const struct verb_spec curl_spec = {
	.usage = "curl [OPTION]... URL",
	.about = "Sends an HTTP request and prints the body of the response: from the running "
		 "stack, or, if there\n"
		 "is none or options of a link are given, from one of its own. A URL is "
		 "http://ADDR[:PORT]/PATH;\n"
		 "/PATH alone is one of the running stack's own server, or, on a link of its own, "
		 "of the other end's.",
	.example = "  tapglass curl /\n"
		   "  tapglass curl -T big.iso -w '%{http_code}\\n' http://192.0.2.1:8000/upload\n",
	.options = curl_options,
	.link_options = true,
	.min_args = 1,
	.max_args = 1,
	.args_name = "URL",
	.set = curl_set,
};

static int curl_parse(struct curl_opt *o, int argc, char **argv)
{
	char why[200];
	const char *name;
	int first, rc;

	options_default(&o->common);
	o->max_redirs = 50;
	rc = options_parse(argc, argv, &curl_spec, &o->common, o, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	o->url = argv[first];
	if (o->upload != NULL && (o->n_data > 0 || o->head)) {
		return usage_error("curl: -T does not go with -d or -I");
	}
	if (o->output != NULL && o->remote_name) {
		return usage_error("curl: -o and -O exclude each other");
	}
	if (o->head && o->n_data > 0) {
		return usage_error("curl: -I does not go with -d");
	}
	if (o->write_out != NULL && !curl_write_out_check(o->write_out)) {
		return usage_error("-w %s: a variable in it is unknown", o->write_out);
	}
	rc = curl_url_parse(o, why);
	if (rc != 0) {
		say("curl: (%d) %s", rc, why);
		return rc;
	}
	if (o->remote_name && curl_url_name(o, &name) == 0) {
		return usage_error("curl: -O: the URL ends without a name for a file");
	}
	return OPTIONS_GO;
}

static bool wants_file(const struct curl_opt *o)
{
	return o->remote_name || (o->output != NULL && strcmp(o->output, "-") != 0);
}

static bool takes_file(const struct curl_opt *o)
{
	return (o->upload != NULL && strcmp(o->upload, "-") != 0) || curl_data_files(o);
}

/* ---- The job --------------------------------------------------------------------------------- */

/* Descriptors beyond the standard ones come in this order: -T, then -o or -O. */
static bool files_take(struct curl *c, const struct job_io *io)
{
	unsigned at = 3;
	struct stat st;
	off_t pos;

	if (io->n_fds != 3u + takes_file(&c->opt) + wants_file(&c->opt)) {
		return false;
	}
	if (c->opt.upload != NULL || curl_data_files(&c->opt)) {
		in_open(&c->in, takes_file(&c->opt) ? io->fd[at++] : io->fd[0]);
		c->has_upload = true;
		c->upload_chunked = !c->in.is_file || fstat(c->in.fd, &st) != 0;
		if (!c->upload_chunked) {
			pos = lseek(c->in.fd, 0, SEEK_CUR);
			c->upload_bytes = st.st_size > pos ? (uint64_t)(st.st_size - pos) : 0;
			c->upload_done = c->upload_bytes == 0;
			c->upload_all_bytes = c->upload_bytes;
			c->upload_at = pos;
		}
	}
	if (wants_file(&c->opt)) {
		out_open(&c->file, io->fd[at]);
		c->has_file = true;
	}
	return true;
}

static int curl_start(struct job *j, int argc, char **argv)
{
	struct curl *c = calloc(1, sizeof *c);
	int rc;

	if (c == NULL) {
		return failure("out of memory");
	}
	j->state = c;
	j->lost_status = CURL_E_WRITE;
	c->job = j;
	c->s = j->link->stack;
	rc = curl_parse(&c->opt, argc, argv);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (tg_ip4_value(&c->opt.addr.ip) == 0) {
		c->opt.addr.ip = j->io->alone ? j->link->host_ip : j->link->stack_ip;
	}
	if (!files_take(c, j->io)) {
		return failure("curl: the files did not come with the request");
	}
	if (!curl_request_make(c)) {
		return failure("out of memory");
	}
	curl_begin(c, tg_host_now());
	return JOB_GOES_ON;
}

static void curl_end(struct job *j)
{
	struct curl *c = j->state;

	if (c == NULL) {
		return;
	}
	if (c->sock != 0) {
		tg_sock_close(c->s, c->sock, tg_host_now());
	}
	if (c->has_upload) {
		in_close(&c->in, j->link->host);
	}
	if (c->file_watched) {
		tg_host_watch(j->link->host, c->file.fd, 0, NULL, NULL);
	}
	if (c->has_file) {
		out_close(&c->file, 0);
	}
	free(c->request);
	free(c->url);
	free(c);
}

const struct job_verb curl_job = {"curl", curl_start, curl_round, NULL, curl_end};

/* ---- Whoever asks ---------------------------------------------------------------------------- */

static int file_open(const char *path, int flags, int status, struct job_io *io)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);

	if (fd < 0) {
		say("curl: (%d) cannot open %s: %s", status, path, strerror(errno));
		return status;
	}
	io->fd[io->n_fds++] = fd;
	return 0;
}

/* Appends what a file holds; of -d, without CR, LF and NUL, as curl does. */
static bool data_append(FILE *to, const char *path, bool binary)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	bool good;
	int ch;

	if (f == NULL) {
		return false;
	}
	while ((ch = getc(f)) != EOF) {
		if (binary || (ch != '\r' && ch != '\n' && ch != '\0')) {
			putc(ch, to);
		}
	}
	good = !ferror(f);
	if (f != stdin) {
		fclose(f);
	}
	return good;
}

/* All of -d in one file that has no name. */
static int data_open(const struct curl_opt *o, struct job_io *io)
{
	int fd = memfd_create("data", MFD_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(dup(fd), "we") : NULL;
	bool good = f != NULL;

	for (size_t i = 0; i < o->n_data && good; i++) {
		const char *text = o->data[i];

		if (i > 0) {
			putc('&', f);
		}
		if (o->data_kind[i] != 'r' && text[0] == '@') {
			good = data_append(f, text + 1, o->data_kind[i] == 'b');
			if (!good) {
				say("curl: (%d) cannot read %s: %s", CURL_E_READ, text + 1,
					strerror(errno));
			}
		} else {
			fputs(text, f);
		}
	}
	if ((f != NULL && fclose(f) != 0) || lseek(fd, 0, SEEK_SET) < 0 || !good) {
		close(fd);
		return CURL_E_READ;
	}
	io->fd[io->n_fds++] = fd;
	return 0;
}

static int files_open(const struct curl_opt *o, struct job_io *io)
{
	const char *name;
	char path[256];
	size_t n;
	int rc = 0;

	if (curl_data_files(o)) {
		rc = data_open(o, io);
	} else if (takes_file(o)) {
		rc = file_open(o->upload, O_RDONLY, CURL_E_READ, io);
	}
	if (rc != 0 || !wants_file(o)) {
		return rc;
	}
	if (!o->remote_name) {
		return file_open(o->output, O_WRONLY | O_CREAT, CURL_E_WRITE, io);
	}
	n = curl_url_name(o, &name);
	snprintf(path, sizeof path, "%.*s", (int)n, name);
	return file_open(path, O_WRONLY | O_CREAT, CURL_E_WRITE, io);
}

int curl_main(int argc, char **argv)
{
	struct job_io io = {.fd = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, .n_fds = 3};
	struct curl_opt *o = calloc(1, sizeof *o);
	int rc;

	if (o == NULL) {
		return failure("out of memory");
	}
	rc = curl_parse(o, argc, argv);
	if (rc == OPTIONS_GO) {
		rc = files_open(o, &io);
		rc = rc == 0 ? OPTIONS_GO : rc;
	}
	if (rc == OPTIONS_GO) {
		io.takes_input = o->upload != NULL && strcmp(o->upload, "-") == 0;
		rc = verb_run(&curl_job, &o->common, &io, argc, argv);
	}
	for (unsigned i = 3; i < io.n_fds; i++) {
		close(io.fd[i]);
	}
	free(o);
	return rc;
}
