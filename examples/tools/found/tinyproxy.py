# Ten connections are open, and silent, over 100 reloads by SIGUSR1, while other clients come.
import socket,subprocess,signal,time,os,tempfile,threading
d=tempfile.mkdtemp(); os.chmod(d,0o755); C=d+"/c"; P,Q=8071,8072
open(C,"w").write(f"Listen 127.0.0.1\nPort {P}\nLogLevel Info\n"); os.chmod(C,0o644)
l=socket.create_server(("127.0.0.1",Q)); p=subprocess.Popen(["tinyproxy","-d","-c",C],stdout=open(d+"/log","w"),stderr=subprocess.STDOUT); time.sleep(1)
def tunnel():
    c=socket.create_connection(("127.0.0.1",P)); c.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n"%Q); c.recv(200); s,_=l.accept(); return c,s
held=[tunnel() for i in range(10)]; stop=False
def others():
    while not stop:
        c,s=tunnel(); c.sendall(b"x"); s.recv(1); c.close(); s.close()
t=threading.Thread(target=others); t.start()
for i in range(100): p.send_signal(signal.SIGUSR1); time.sleep(.1)
stop=True; t.join(); lost=0
for c,s in held:
    try:
        c.settimeout(2); c.sendall(b"y"); s.settimeout(2)
        if s.recv(1)!=b"y": lost+=1
    except OSError: lost+=1
print("of 10 connections that were open and silent over 100 reloads, ended:",lost); p.kill()
