# A server that speaks first, behind sslsplit's plain TCP.
import socket,subprocess,time,sys
p=subprocess.Popen(["sslsplit","tcp","127.0.0.1","7941","127.0.0.1","7942"],stderr=subprocess.PIPE,stdout=subprocess.DEVNULL)
time.sleep(1)
l=socket.create_server(("127.0.0.1",7942))
for i in range(1,201):
    try: c=socket.create_connection(("127.0.0.1",7941),2)
    except OSError as e: print("connection",i,":",e); break
    try:
        s,_=l.accept(); s.sendall(b"hello\n"); c.settimeout(5)
        got=c.recv(10)
    except OSError as e: got=e
    if got!=b"hello\n": print("connection",i,": got",got,"in place of hello")
    s.close(); c.close()
    time.sleep(.02)
    if p.poll() is not None: print("sslsplit has ended: status",p.returncode); break
else: print("200 connections are served")
p.terminate(); print(p.stderr.read().decode())
