# Two connections through netsed; the first one's server does not read.
import socket,subprocess,time
p=subprocess.Popen(["netsed","-4","tcp","8021","127.0.0.1","8022","s/no-such-text/-"],stdout=subprocess.DEVNULL)
time.sleep(1); l=socket.create_server(("127.0.0.1",8022))
a=socket.create_connection(("127.0.0.1",8021)); sa,_=l.accept(); b=socket.create_connection(("127.0.0.1",8021)); sb,_=l.accept()
b.sendall(b"ping"); sb.settimeout(5); print("before: the second connection's server gets",sb.recv(10))
a.setblocking(False); n=0; t=time.time()
while time.time()-t<2:
    try: n+=a.send(b"x"*65536)
    except BlockingIOError: time.sleep(.01)
print("the first client has written",n,"bytes, which its server does not read")
b.sendall(b"ping")
try: print("after: the second connection's server gets",sb.recv(10))
except TimeoutError: print("after: the second connection's server gets nothing for 5 s")
print("netsed waits in",open(f"/proc/{p.pid}/wchan").read()); p.kill()
