# tcpconnect, as inetd starts it, whose client resets its connection.
import socket,subprocess,time,struct,os
l=socket.create_server(("127.0.0.1",8051)); up=socket.create_server(("127.0.0.1",8052))
c=socket.create_connection(("127.0.0.1",8051)); a,_=l.accept()
p=subprocess.Popen(["tcpconnect","127.0.0.1","8052"],stdin=a,stdout=a,stderr=subprocess.DEVNULL); a.close()
s,_=up.accept(); c.sendall(b"hello"); print("the server gets",s.recv(10))
c.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack("ii",1,0)); c.close(); s.settimeout(5)
try: print("after the reset the server gets",s.recv(10))
except TimeoutError: print("after the reset the server gets nothing for 5 s")
st=lambda: sum(map(int,open(f"/proc/{p.pid}/stat").read().rsplit(")",1)[1].split()[11:13]))
if p.poll() is None: x=st(); time.sleep(2); print("tcpconnect runs on, and took",(st()-x)/100,"s of a processor in 2 s")
p.kill()
