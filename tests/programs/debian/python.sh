# packages: python3 sed dash
# memory: 384
cat >several.py <<'END'
import hashlib, json, multiprocessing, os, subprocess, sys, threading, time, zlib
from multiprocessing import shared_memory

def add(sums, number):
    total = 0
    for i in range(20000):
        total += i * number
    sums[number] = total

def put(name, place):
    memory = shared_memory.SharedMemory(name=name)
    memory.buf[place] = place * 3
    memory.close()

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

if __name__ == '__main__':
    print(fib(18), 2 ** 521 % 1000007, json.dumps({'a': [1, 2.5, None]}))
    data = bytes(range(256)) * 4096
    print(hashlib.sha256(data).hexdigest(), len(zlib.decompress(zlib.compress(data))))
    sums = {}
    threads = [threading.Thread(target=add, args=(sums, n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(sums.items()))
    print(subprocess.run([sys.executable, '-c', 'import sys; print(6 * 7); sys.exit(3)'], stdout=subprocess.PIPE))
    memory = shared_memory.SharedMemory(create=True, size=4096)
    processes = [multiprocessing.Process(target=put, args=(memory.name, n)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(list(memory.buf[:4]), [process.exitcode for process in processes])
    memory.close()
    memory.unlink()
    with multiprocessing.Pool(2) as pool:
        print(pool.map(abs, range(-5, 5)))
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=({'from': 'a child'},))
    process.start()
    print(queue.get())
    process.join()
    try:
        bytearray(1 << 44)
    except MemoryError:
        print('no memory')
END
python3 several.py | sed "s|'[^']*python3[^']*'|PYTHON|"
(python3 -c 'import ctypes; ctypes.string_at(0)'; exit $?) 2>/dev/null
echo "status $?"
