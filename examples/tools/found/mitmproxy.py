# mitmdump with everything as plain TCP, by SOCKS5: (1) one byte from the client; (2) the client half-closes, then the server closes; (3) the server resets.
import socket,struct,subprocess,time,tempfile
p=subprocess.Popen(["mitmdump","-q","--set","confdir="+tempfile.mkdtemp(),"--mode","socks5","--set","tcp_hosts=.*","--listen-host","127.0.0.1","--listen-port","7991"])
l=socket.create_server(("127.0.0.1",7992))
def open_():
    for _ in range(200):
        try: c=socket.create_connection(("127.0.0.1",7991)); break
        except OSError: time.sleep(.2)
    c.sendall(b"\5\1\0"); c.recv(2); c.sendall(b"\5\1\0\1\x7f\0\0\1"+(7992).to_bytes(2,"big")); c.recv(10)
    s,_=l.accept(); c.settimeout(5); s.settimeout(5); return c,s
c,s=open_()
for n in (1,2,3):
    c.sendall(b"x")
    try: print(n,"bytes were written; the server gets",s.recv(10))
    except TimeoutError: print(n,"bytes were written; the server gets nothing for 5 s")
c.close(); s.close()
c,s=open_(); c.sendall(b"question"); c.shutdown(socket.SHUT_WR)
print("the server gets",s.recv(10),"then",s.recv(10)); s.sendall(b"answer"); s.close(); print("the client gets",c.recv(10))
try: print("then",c.recv(10))
except TimeoutError: print("then nothing for 5 s, though the server has closed")
for word in (b"",b"a word"):
    c,s=open_()
    if word: c.sendall(word); s.recv(10)
    s.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack("ii",1,0)); s.close() # resets
    try: print("the client has said",word,"and the server resets: the client gets",c.recv(10))
    except TimeoutError: print("the client has said",word,"and the server resets: the client gets nothing for 5 s")
p.terminate(); p.wait()
