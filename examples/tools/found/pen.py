# The client half-closes; when the server sees that, it writes 256 KiB and closes.
import socket,subprocess,threading,time
p=subprocess.Popen(["pen","-f","-r","127.0.0.1:8031","127.0.0.1:8032"],stderr=subprocess.DEVNULL); time.sleep(1)
l=socket.create_server(("127.0.0.1",8032)); N=1<<18; lost=[]
for i in range(50):
    a=socket.create_connection(("127.0.0.1",8031)); b,_=l.accept()
    def serve():
        while b.recv(65536): pass
        b.sendall(b"x"*N); b.close()
    t=threading.Thread(target=serve); t.start(); a.sendall(b"question"); a.shutdown(socket.SHUT_WR); a.settimeout(5); n=0
    while x:=a.recv(65536): n+=len(x)
    if n<N: lost.append(n)
    a.close(); t.join(5)
print("answers of",N,"bytes that were cut short:",len(lost),"of 50; what arrived of them:",lost[:8])
p.kill()
