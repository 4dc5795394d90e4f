# tinyproxy with an upstream proxy: how it asks that one for a target in IPv6.
import os, socket, subprocess, tempfile, time
directory = tempfile.mkdtemp()
with open(directory + "/tinyproxy.conf", "w") as conf:
    conf.write("Listen 127.0.0.1\nPort 7981\nUpstream http 127.0.0.1:7982\n")
proxy = socket.create_server(("127.0.0.1", 7982))
process = subprocess.Popen(["tinyproxy", "-d", "-c", directory + "/tinyproxy.conf"], stdout=subprocess.DEVNULL)
for _ in range(100):
    try:
        client = socket.create_connection(("127.0.0.1", 7981))
        break
    except OSError:
        time.sleep(0.05)
client.sendall(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n")
print("asked:   CONNECT [2001:db8::1]:443")
upstream, _ = proxy.accept()
print("asks for:", upstream.recv(1000).split(b"\r\n")[0].decode())
process.terminate()
