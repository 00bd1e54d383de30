/*
 * The RAM file system without programs: paths and links, names that are renamed and removed while they are used, contents through
 * kernel memory, listings, mounts, lack of memory; and that nothing of it is left at the end.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/poll.h>
#include <kern/test.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <vm/page.h>
#include <vm/slab.h>

#define PATH_BYTES 256
#define MANY       300
#define HOARD_KEPT 3 /* pages that are left when memory is to be short */

static char bytes[3 * PAGE_SIZE], back[3 * PAGE_SIZE];

static struct file *open_file(const char *path, unsigned flags)
{
	struct file *file = NULL;

	CHECK_EQ(fs_open(NULL, AT_FDCWD, path, flags, 0644, &file), 0);
	return file;
}

static int open_error(const char *path, unsigned flags)
{
	struct file *file;
	int error = fs_open(NULL, AT_FDCWD, path, flags, 0644, &file);

	if (!error)
		file_unref(file);
	return error;
}

static void make(const char *path)
{
	struct file *file = open_file(path, O_CREAT | O_EXCL | O_RDWR);

	if (file)
		file_unref(file);
}

/* The path that an open file says it has. */
static int path_is(struct file *file, const char *expected)
{
	char path[PATH_BYTES];

	file_path(file, path, sizeof path);
	return CHECK_STR(path, expected);
}

/* ---- Paths --------------------------------------------------------------------------------------------------- */

static int leads_to(const char *path, const char *expected)
{
	struct path found, wanted;
	int same;

	if (!CHECK_EQ(path_lookup(NULL, AT_FDCWD, path, LOOKUP_FOLLOW, &found), 0))
		return false;
	if (!CHECK_EQ(path_lookup(NULL, AT_FDCWD, expected, 0, &wanted), 0))
		return path_release(&found), false;
	same = CHECK(found.inode == wanted.inode);
	path_release(&found);
	path_release(&wanted);
	return same;
}

static void test_paths(void)
{
	struct path found;

	test_case("paths with dots, slashes and links lead where they should");
	CHECK_EQ(fs_mkdir(NULL, AT_FDCWD, "/t", 0755), 0);
	CHECK_EQ(fs_mkdir(NULL, AT_FDCWD, "/t/a", 0755), 0);
	make("/t/a/file");
	CHECK_EQ(fs_symlink(NULL, "a", AT_FDCWD, "/t/relative"), 0);
	CHECK_EQ(fs_symlink(NULL, "/t/a/", AT_FDCWD, "/t/absolute"), 0);
	CHECK_EQ(fs_symlink(NULL, "relative/../absolute/file", AT_FDCWD, "/t/both"), 0);
	CHECK(leads_to("/t/a/file", "/t/a/file") & leads_to("//t///a/./file", "/t/a/file") &
	      leads_to("/t/a/../a/file", "/t/a/file") & leads_to("/../../t/a/file", "/t/a/file") &
	      leads_to("t/relative/file", "/t/a/file") & leads_to("/t/absolute/file", "/t/a/file") &
	      leads_to("/t/both", "/t/a/file") & leads_to("/t/relative/", "/t/a") & leads_to("/", "/..") &
	      leads_to("/dev/shm/..", "/dev"));

	test_case("paths that lead nowhere say why");
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "", 0, &found), -ENOENT);
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "/t/missing", 0, &found), -ENOENT);
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "/t/missing/x", 0, &found), -ENOENT);
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "/t/a/file/x", 0, &found), -ENOTDIR);
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "/t/a/file/", 0, &found), -ENOTDIR);
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "/t/a/file/..", 0, &found), -ENOTDIR);
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "/t/both", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &found), -ENOTDIR);
	CHECK_EQ(fs_symlink(NULL, "loop", AT_FDCWD, "/t/loop"), 0);
	CHECK_EQ(path_lookup(NULL, AT_FDCWD, "/t/loop", LOOKUP_FOLLOW, &found), -ELOOP);
	CHECK_EQ(open_error("/t/loop", O_RDONLY | O_CREAT), -ELOOP);
}

static void test_renaming(void)
{
	struct file *file = open_file("/t/a/file", O_RDWR);
	struct file *directory = open_file("/t/a", O_RDONLY | O_DIRECTORY);

	test_case("an open file's path follows renames, and says when it is deleted");
	if (!file || !directory)
		return;
	CHECK(path_is(file, "/t/a/file"));
	CHECK_EQ(fs_rename(NULL, AT_FDCWD, "/t/a", AT_FDCWD, "/t/b", 0), 0);
	CHECK(path_is(file, "/t/b/file") & path_is(directory, "/t/b"));
	CHECK_EQ(fs_rename(NULL, AT_FDCWD, "/t/b/file", AT_FDCWD, "/t/name", 0), 0);
	CHECK(path_is(file, "/t/name"));
	CHECK_EQ(fs_rename(NULL, AT_FDCWD, "/t/b", AT_FDCWD, "/t/b/c", 0), -EINVAL);
	CHECK_EQ(fs_unlink(NULL, AT_FDCWD, "/t/name"), 0);
	CHECK_EQ(fs_rmdir(NULL, AT_FDCWD, "/t/b"), 0);
	CHECK(path_is(file, "/t/name (deleted)") & path_is(directory, "/t/b (deleted)"));
	CHECK_EQ(file_write_at(file, "still", 5, 0), 5);
	CHECK_EQ(file_read_at(file, back, 10, 0), 5);
	file_unref(file);
	file_unref(directory);
}

/* ---- Contents ------------------------------------------------------------------------------------------------ */

static bool zero(const char *at, size_t count)
{
	while (count--) {
		if (*at++ != 0)
			return false;
	}
	return true;
}

static void test_contents(void)
{
	struct file *file = open_file("/t/data", O_CREAT | O_RDWR);

	test_case("what is written is read; what never was is zero");
	if (!file)
		return;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 31 + 1);
	CHECK_EQ(file_write_at(file, bytes, sizeof bytes, 100), sizeof bytes);
	CHECK_EQ(file_read_at(file, back, sizeof back, 0), sizeof back);
	CHECK(zero(back, 100) && memcmp(back + 100, bytes, sizeof bytes - 100) == 0);
	CHECK_EQ(file->inode->bytes, sizeof bytes + 100);
	CHECK_EQ(blob_extent(file->inode->blob), 4);

	test_case("a length forgets what is beyond it, in the page it ends in as well");
	CHECK_EQ(inode_truncate(file->inode, NULL, PAGE_SIZE + 1), 0);
	CHECK_EQ(blob_resident(file->inode->blob, 0, 4), 2);
	CHECK_EQ(inode_truncate(file->inode, NULL, 3 * PAGE_SIZE), 0);
	CHECK_EQ(file_read_at(file, back, sizeof back, 0), sizeof back);
	CHECK(memcmp(back + 100, bytes, PAGE_SIZE - 99) == 0 &&
	      zero(back + PAGE_SIZE + 1, 2 * PAGE_SIZE - 1));
	CHECK_EQ(file_write_at(file, "x", 1, FILE_MAX_BYTES), -EFBIG);
	CHECK_EQ(file_write_at(file, "xy", 2, FILE_MAX_BYTES - 1), 1);
	CHECK_EQ(inode_truncate(file->inode, NULL, FILE_MAX_BYTES + 1), -EFBIG);
	CHECK_EQ(inode_truncate(file->inode, NULL, 0), 0);
	CHECK_EQ(blob_resident(file->inode->blob, 0, bytes_to_pages(FILE_MAX_BYTES)), 0);
	file_unref(file);
	CHECK_EQ(fs_unlink(NULL, AT_FDCWD, "/t/data"), 0);
}

/* The archive's program is lent; a write copies, and what was cut off does not come back. */
static void test_lent(void)
{
	struct file *file = open_file("/bin/demo", O_RDWR);
	uint64_t length;

	test_case("a file of the boot archive can be written and cut like any other");
	if (!file)
		return;
	length = file->inode->bytes;
	CHECK(length > sizeof bytes);
	CHECK_EQ(file_read_at(file, bytes, sizeof bytes, 0), sizeof bytes);
	CHECK(memcmp(bytes, "\177ELF", 4) == 0);
	CHECK_EQ(file_write_at(file, "XX", 2, PAGE_SIZE + 5), 2);
	CHECK_EQ(file_read_at(file, back, sizeof back, 0), sizeof back);
	CHECK(memcmp(back, bytes, PAGE_SIZE + 5) == 0 && memcmp(back + PAGE_SIZE + 5, "XX", 2) == 0);
	CHECK(memcmp(back + PAGE_SIZE + 7, bytes + PAGE_SIZE + 7, 2 * PAGE_SIZE - 7) == 0);
	CHECK_EQ(inode_truncate(file->inode, NULL, 10), 0);
	CHECK_EQ(inode_truncate(file->inode, NULL, length), 0);
	CHECK_EQ(file_read_at(file, back, sizeof back, 0), sizeof back);
	CHECK(memcmp(back, bytes, 10) == 0 && zero(back + 10, sizeof back - 10));
	file_unref(file);
}

/* ---- Listings --------------------------------------------------------------------------------------------------- */

struct listing {
	unsigned count, most;
};

static int count_name(void *context, const char *name, size_t length, uint64_t inode, unsigned type,
		      uint64_t next)
{
	struct listing *listing = context;

	(void)name, (void)length, (void)inode, (void)type, (void)next;
	if (listing->count == listing->most)
		return 1;
	listing->count++;
	return 0;
}

static void test_listings(void)
{
	struct listing listing = {.most = 100};
	char path[PATH_BYTES];
	uint64_t position = 0;
	struct file *file;

	test_case("a listing goes on where it was, whatever is made and removed meanwhile");
	CHECK_EQ(fs_mkdir(NULL, AT_FDCWD, "/t/many", 0755), 0);
	for (unsigned i = 0; i < MANY; i++) {
		env_format(path, sizeof path, "/t/many/%u", i);
		make(path);
	}
	file = open_file("/t/many", O_RDONLY);
	if (!file)
		return;
	CHECK_EQ(file->ops->readdir(file, &position, count_name, &listing), 1);
	for (unsigned i = 0; i < 50; i++) {
		env_format(path, sizeof path, "/t/many/%u", i);
		CHECK_EQ(fs_unlink(NULL, AT_FDCWD, path), 0);
	}
	listing.most = UINT32_MAX;
	CHECK_EQ(file->ops->readdir(file, &position, count_name, &listing), 0);
	CHECK_EQ(listing.count, MANY + 2);
	for (unsigned i = 50; i < MANY; i++) {
		env_format(path, sizeof path, "/t/many/%u", i);
		CHECK_EQ(fs_unlink(NULL, AT_FDCWD, path), 0);
	}
	CHECK_EQ(fs_rmdir(NULL, AT_FDCWD, "/t/many"), 0);
	file_unref(file);
}

/* ---- Mounts ------------------------------------------------------------------------------------------------------ */

static void test_mounts(void)
{
	struct filesystem_type *type = filesystem_type_find("tmpfs");
	struct file *file;

	test_case("a mount covers a directory until nobody uses it any more");
	CHECK_EQ(fs_mkdir(NULL, AT_FDCWD, "/t/m", 0755), 0);
	make("/t/m/below");
	CHECK_EQ(fs_mount(NULL, type, "none", "/t/m", 0, "size=64k"), 0);
	CHECK_EQ(open_error("/t/m/below", O_RDONLY), -ENOENT);
	file = open_file("/t/m/above", O_CREAT | O_RDWR);
	CHECK(path_is(file, "/t/m/above") & leads_to("/t/m/..", "/t"));
	CHECK_EQ(fs_link(NULL, AT_FDCWD, "/t/m/above", 0, AT_FDCWD, "/t/m/second"), 0);
	CHECK_EQ(fs_umount(NULL, "/t/m", 0), -EBUSY);
	CHECK_EQ(fs_umount(NULL, "/t", 0), -EINVAL);
	CHECK_EQ(fs_rmdir(NULL, AT_FDCWD, "/t/m"), -EBUSY);
	CHECK_EQ(fs_unlink(NULL, AT_FDCWD, "/t/m/above"), 0);
	CHECK_EQ(fs_umount(NULL, "/t/m", 0), -EBUSY);
	CHECK_EQ(fs_unlink(NULL, AT_FDCWD, "/t/m/second"), 0);
	CHECK_EQ(fs_umount(NULL, "/t/m", 0), -EBUSY);
	file_unref(file);
	CHECK_EQ(fs_umount(NULL, "/t/m", 0), 0);
	CHECK_EQ(open_error("/t/m/below", O_RDONLY), 0);
	CHECK_EQ(fs_mount(NULL, type, "none", "/t/m", 0, "size=1k,odd"), -EINVAL);
	CHECK_EQ(fs_unlink(NULL, AT_FDCWD, "/t/m/below"), 0);
	CHECK_EQ(fs_rmdir(NULL, AT_FDCWD, "/t/m"), 0);
}

/* ---- Lack of memory ------------------------------------------------------------------------------------------------ */

/* Takes nearly all pages, in a list through their first words. */
static struct page *hoard(void)
{
	struct page *list = NULL, *page;

	while ((page = page_alloc(PAGE_KERNEL, 0)) != NULL) {
		*(struct page **)page_data(page) = list;
		list = page;
	}
	for (unsigned i = 0; list && i < HOARD_KEPT; i++) {
		page = list;
		list = *(struct page **)page_data(page);
		page_free(page);
	}
	return list;
}

static void release(struct page *list)
{
	while (list) {
		struct page *next = *(struct page **)page_data(list);

		page_free(list);
		list = next;
	}
}

/* Every call either does all of it, or fails and changes nothing. */
static void test_no_memory(void)
{
	struct file *file = open_file("/t/short", O_CREAT | O_RDWR);
	struct page *list;
	char path[PATH_BYTES];
	unsigned made = 0;

	test_case("without memory calls fail and leave everything as it was");
	list = hoard();
	CHECK_EQ(file_write_at(file, bytes, sizeof bytes, 0), -ENOSPC);
	CHECK_EQ(file->inode->bytes, 0);
	CHECK_EQ(blob_extent(file->inode->blob), 0);
	for (int error = 0; !error && made < 100000; made++) {
		env_format(path, sizeof path, "/t/%u", made);
		error = fs_mknod(NULL, AT_FDCWD, path, S_IFREG | 0600, 0);
		if (error) {
			CHECK_EQ(error, -ENOMEM);
			CHECK_EQ(open_error(path, O_RDONLY), -ENOENT);
			break;
		}
	}
	release(list);
	CHECK(made > 0 && made < 100000);
	for (unsigned i = 0; i < made; i++) {
		env_format(path, sizeof path, "/t/%u", i);
		CHECK_EQ(fs_unlink(NULL, AT_FDCWD, path), 0);
	}
	CHECK_EQ(file_write_at(file, bytes, sizeof bytes, 0), sizeof bytes);
	file_unref(file);
	CHECK_EQ(fs_unlink(NULL, AT_FDCWD, "/t/short"), 0);
}

/* What is made together with its file says so when it is the file that there is no memory for. */
static void test_no_file(void)
{
	struct file *event = eventfd_create(0, 0), *epoll = epoll_create_file(), *file;
	static struct file *opened[MANY];
	struct page *list;
	unsigned count = 0;

	test_case("without memory for a file there is no epoll instance and no eventfd");
	CHECK(event && epoll);
	list = hoard();
	while (count < MANY && fs_open(NULL, AT_FDCWD, "/t", O_RDONLY, 0, &opened[count]) == 0)
		count++;
	CHECK(count > 0 && count < MANY);
	file = epoll_create_file();
	CHECK(!file);
	file = eventfd_create(0, 0);
	CHECK(!file);
	release(list);
	while (count > 0)
		file_unref(opened[--count]);
	file_unref(epoll);
	file_unref(event);
}

/* ---- All of it -------------------------------------------------------------------------------------------------------- */

static uint64_t objects(void)
{
	uint64_t sum = 0;

	for (struct slab_cache *cache = slab_caches(); cache; cache = cache->next)
		sum += cache->objects;
	return sum;
}

void suite_files(void);

void suite_files(void)
{
	uint64_t before = objects();

	fs_init();
	test_paths();
	test_renaming();
	test_contents();
	test_lent();
	test_listings();
	test_mounts();
	test_no_memory();
	test_no_file();
	test_case("at the end nothing of it is left");
	fs_end();
	CHECK_EQ(objects(), before);
}
