# tsocks: a target in IPv6 is connected to directly; a reply with an IPv6 address is read as one with an IPv4 address.
import os, socket, subprocess, tempfile, threading
directory = tempfile.mkdtemp()
os.chmod(directory, 0o755)
proxy = socket.create_server(("127.0.0.1", 7971))
with open(directory + "/tsocks.conf", "w") as conf:
    conf.write("local = 127.0.0.1/255.255.255.255\nserver = 127.0.0.1\nserver_port = 7971\nserver_type = 5\n")
environment = dict(os.environ, TSOCKS_CONF_FILE=directory + "/tsocks.conf")
asked = []
def serve():
    while True:
        client, _ = proxy.accept()
        client.recv(100)
        client.sendall(b"\x05\x00")
        asked.append(client.recv(100))
        client.sendall(b"\x05\x00\x00\x04" + bytes(16) + b"\x04\x38" + b"hello\n")
        client.close()
threading.Thread(target=serve, daemon=True).start()
target = socket.create_server(("::1", 7972), family=socket.AF_INET6)
def run(to):
    return subprocess.run(["tsocks", "socat", "-u", to, "-"], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10).stdout
def greet():
    client, peer = target.accept()
    print("IPv6: the target itself was connected to from", peer[0], "; the proxy was asked", len(asked), "times")
    client.close()
thread = threading.Thread(target=greet)
thread.start()
run("TCP6:[::1]:7972")
thread.join()
print("IPv4: the proxy was asked", end=" ")
got = run("TCP4:192.0.2.1:80")
print(len(asked), "time; of the server's 'hello' came", got)
