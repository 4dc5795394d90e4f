# Does not end on SIGTERM once it has served a connection by SOCKS5.
import subprocess,socket,time,os,signal
import tempfile
path=tempfile.mkstemp()[1]
open(path,"w").write("Username user\nDomain domain\nPassword password\nProxy 127.0.0.1:1\nNoProxy *\n")
p=subprocess.Popen(["cntlm","-f","-c",path,"-l","127.0.0.1:7931","-O","127.0.0.1:7932"],stderr=subprocess.PIPE)
time.sleep(.6)
l=socket.create_server(("127.0.0.1",7933))
c=socket.create_connection(("127.0.0.1",7932))
c.sendall(b"\5\1\0"); c.recv(2); c.sendall(b"\5\1\0\1\x7f\0\0\1"+(7933).to_bytes(2,"big")); c.recv(100)
s,_=l.accept(); s.sendall(b"hi"); c.recv(10); s.close(); print("end of stream:",c.recv(10)); c.close(); time.sleep(1)
print("threads before SIGTERM:",len(os.listdir(f"/proc/{p.pid}/task")))
p.terminate()
try: print("ended with",p.wait(45))
except subprocess.TimeoutExpired:
    print("still there 45 s after SIGTERM, threads:",len(os.listdir(f"/proc/{p.pid}/task")))
    p.terminate()
    try: print("after a second SIGTERM it ended with",p.wait(5))
    except subprocess.TimeoutExpired: print("still there after a second"); p.kill()
print(p.stderr.read().decode())
