# A proxy whose reply and the server's first bytes arrive together, as they may in TCP.
import socket,subprocess
l=socket.create_server(("127.0.0.1",7961))
p=subprocess.Popen(["corkscrew","127.0.0.1","7961","target","1"],stdin=subprocess.PIPE,stdout=subprocess.PIPE)
c,_=l.accept(); c.recv(1000)
data=b"first\0second third"
c.sendall(b"HTTP/1.0 200 Connection established\r\n\r\n"+data); c.close()
print("sent:    ",data); print("arrived: ",p.stdout.read()); p.kill()
