/*
 * The first process: what the command line and the boot archive say about it, and its start.
 *
 * docs/command-line.md describes what is read here. Everything about processes in general is in process.c.
 */
#include <asm/errno.h>
#include <kern/boot.h>
#include <kern/bootfile.h>
#include <kern/fs.h>
#include <kern/message.h>
#include <kern/phoenix_abi.h>
#include <kern/tty.h>
#include <linux/fcntl.h>

#include <kern/swap_device.h>

#include "process_internal.h"
#include "syscall.h"

#define OPEN_FILES      1024 /* RLIMIT_NOFILE, as Linux has it at first */
#define OPEN_FILES_MOST 4096
#define LOCKED_BYTES \
	((uint64_t)8 \
	 << 20) /* RLIMIT_MEMLOCK, as Linux has it: programs take it for how much they may plan with */

#define ARGUMENTS_FOLLOW "--" /* the word of the command line after which all is the program's */

/* Strings from the command line, in the form of a string_pack. Written before the program starts. */
struct word_buffer {
	char bytes[2 * BOOT_MAX_STRING];
	size_t used;
};

static struct word_buffer argument_words, environment_words;

/* The command line is no longer than half the buffer, and the path is a part of it: nothing is ever cut. */
static void put_byte(struct word_buffer *buffer, char byte)
{
	if (buffer->used < sizeof(buffer->bytes))
		buffer->bytes[buffer->used++] = byte;
}

static void put_string(struct word_buffer *buffer, const char *string)
{
	do
		put_byte(buffer, *string);
	while (*string++ != '\0');
}

/*
 * Appends the next word of `line`, without its double quotes; NULL: there is none. Returns where the
 * rest begins.
 */
static const char *take_word(struct word_buffer *buffer, const char *line)
{
	bool quoted = false;

	while (*line == ' ')
		line++;
	if (*line == '\0')
		return NULL;
	for (; *line != '\0' && (quoted || *line != ' '); line++) {
		if (*line == '"')
			quoted = !quoted;
		else
			put_byte(buffer, *line);
	}
	put_byte(buffer, '\0');
	return line;
}

/* argv: the path, and the words after "--". */
static void pack_arguments(const char *path)
{
	const char *rest = bootinfo.command_line;
	bool found = false;

	while (!found && rest) {
		argument_words.used = 0;
		rest = take_word(&argument_words, rest);
		found = rest && strcmp(argument_words.bytes, ARGUMENTS_FOLLOW) == 0;
	}
	argument_words.used = 0;
	put_string(&argument_words, path);
	while (rest)
		rest = take_word(&argument_words, rest);
}

/* The contents of a boot file, if there is one that is not empty; else the words in the buffer. */
static struct string_pack file_or_words(const char *path, const struct word_buffer *buffer)
{
	struct bootfile file;

	if (bootfile_find(path, &file) == 0 && file.bytes > 0)
		return (struct string_pack){.bytes = bootfile_data(&file), .size = file.bytes};
	return (struct string_pack){.bytes = buffer->bytes, .size = buffer->used};
}

/* ---- Its life ---------------------------------------------------------------------------------------------- */

#define QUEUED_BYTES 819200 /* MQ_BYTES_MAX: RLIMIT_MSGQUEUE, as on Linux */

#define DUMPED_MAPPINGS 0x33 /* Linux's: what is no file's (core(5)) */

static void set_limits(struct process *process)
{
	process->dump_filter = DUMPED_MAPPINGS;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		process->limits[i] = (struct rlimit64){RLIM64_INFINITY, RLIM64_INFINITY};
	process->limits[RLIMIT_STACK].rlim_cur = STACK_BYTES;
	process->limits[RLIMIT_CORE].rlim_cur = 0;
	process->limits[RLIMIT_MEMLOCK] = (struct rlimit64){LOCKED_BYTES, LOCKED_BYTES};
	process->limits[RLIMIT_NOFILE] = (struct rlimit64){OPEN_FILES, OPEN_FILES_MOST};
	process->limits[RLIMIT_CORE].rlim_cur = 0;
	process->limits[RLIMIT_NICE] = process->limits[RLIMIT_RTPRIO] = (struct rlimit64){0, 0};
	process->limits[RLIMIT_MSGQUEUE] = (struct rlimit64){QUEUED_BYTES, QUEUED_BYTES};
	process->limits[RLIMIT_SIGPENDING] = (struct rlimit64){SIGNALS_QUEUED, SIGNALS_QUEUED};
}

/* Puts the process and its task into the table, with a group and a session of their own. */
static int enter(struct process *process, struct task *task)
{
	int error;

	spin_lock(&process_lock);
	error = process_link_locked(process, NULL);
	ASSERT(!error && process->pid == FIRST_PID);
	error = task_link_locked(task, process->pid);
	ASSERT(!error);
	spin_unlock(&process_lock);
	return groups_begin(process);
}

/* Its directories and descriptors. */
static int give_files(struct task *task)
{
	int error = file_table_create(&task->files);

	if (!error)
		error = fs_context_create(&task->context);
	return error ? error : ttys_open_standard(task);
}

/* The process, with all that it needs to run. 0 or -ENOMEM. */
static int make(struct user_space *space, const char *path, struct task **out)
{
	struct process *process = process_create();
	struct task *task;
	int error;

	if (!process)
		return -ENOMEM;
	process->space = space;
	credentials_init(&process->credentials);
	set_limits(process);
	task = task_create(process);
	process_unref(process);
	if (!task)
		return -ENOMEM;
	error = give_files(task);
	if (!error)
		error = signal_process_begin(process, NULL, false);
	if (!error)
		error = enter(process, task);
	if (error)
		return error;
	tty_attach_first(task);
	signal_task_begin(task, NULL, false);
	task_set_name(task, path_last_part(path));
	task->thread.map = space->root;
	fpu_init(task->thread.fpu);
	trapframe_init_user(thread_frame(&task->thread), space->entry, space->stack);
	*out = task;
	return 0;
}

/* Waits for the end of the first process, and until all that there was of processes is gone. Its wait status. */
static int await_end(struct process *process)
{
	int status;

	WAIT_EVENT(&process->news, process->state == PROCESS_ZOMBIE, SLEEP_FIRM, TIME_NEVER);
	spin_lock(&process_lock);
	status = process->exit_status;
	process_unlink_locked(process);
	spin_unlock(&process_lock);
	process_unref(process);
	process_wait_all_freed();
	threads_trim();
	return status;
}

/* The image of the program in a boot file, in a space. */
static int load(const struct program_start *start, struct user_space **space, struct reason *reason)
{
	struct executable executable;
	int error = executable_open(&executable, NULL, AT_FDCWD, start->path, 0);

	reason->text[0] = '\0';
	if (!error)
		error = executable_load(&executable, NULL, start->path, reason);
	if (!error)
		error = user_space_create(&executable.image,
					  executable.interpreter.entity ? &executable.interpreter : NULL,
					  start, space, reason);
	if (!error)
		(*space)->program = file_ref(executable.file);
	executable_close(&executable);
	if (error && reason->text[0] == '\0')
		env_format(reason->text, REASON_BYTES, "%s",
			   error == -ENOENT    ? "no such file"
			   : error == -ENOEXEC ? "an empty file"
			   : error == -EACCES  ? "it is no file that may be executed"
			   : error == -EIO     ? "it cannot be read"
					       : "no memory");
	return error;
}

/* Starts it and waits for its end. 0 with its status as the machine gives it; or an error with the reason: then only turning the machine off is left. */
static int run(const struct program_start *start, int *status, struct reason *reason)
{
	const struct usage before = usage_now();
	struct user_space *space;
	struct task *task;
	int error;

	swap_start();
	fs_init();
	error = load(start, &space, reason);
	if (error)
		return error;
	error = make(space, start->path, &task);
	if (error) {
		env_format(reason->text, REASON_BYTES, "no memory for a process");
		return error;
	}
	thread_run(&task->thread);
	*status = status_of_wait(await_end(task->process));
	pageout_stop();
	shm_end();
	msg_end();
	sem_end();
	fs_end();
	swap_stop();
	usage_check(&before);
	return 0;
}

void process_start_first(void)
{
	const char *path = cmdline_get("init");
	struct program_start start = {.stack_bytes = STACK_BYTES};
	struct reason reason;
	const char *value;
	int status;

	elf_init();
	shm_init();
	messages_init();
	msg_init();
	sem_init();
	user_spaces_init();
	process_init();
	commit_init();
	signals_init();
	futex_init();
	monitor_init();
	if (!path || path[0] == '\0') {
		env_log("phoenix: no program: give init=PATH on the command line");
		power_off(STATUS_NOT_EXECUTABLE);
	}
	pack_arguments(path);
	for (unsigned n = 0; (value = cmdline_nth("env", n)) != NULL; n++)
		put_string(&environment_words, value);
	start.path = path;
	start.arguments = file_or_words(PHOENIX_ARGS_FILE, &argument_words);
	start.environment = file_or_words(PHOENIX_ENV_FILE, &environment_words);
	if (run(&start, &status, &reason) == 0) {
		tty_drain_console();
		power_off(status);
	}
	env_log("phoenix: cannot run %s: %s", path, reason.text);
	power_off(STATUS_NOT_EXECUTABLE);
}
